"""A small registry in the place of the project's, and a server with its files."""

import pytest

from app.get import registry as registry_module
from app.get.names import Library
from tests.app.get.file_server import serving
from tests.app.get.small_registry import data_files, registry_text


@pytest.fixture
def use_registry(tmp_path, monkeypatch):
    """use_registry(text) -> its file, which is the project's registry from then on."""

    def use(text):
        path = tmp_path / "registry.toml"
        path.write_text(text)
        monkeypatch.setattr(registry_module, "FILE", path)
        return path

    registry_module.open_registry.cache_clear()
    yield use
    registry_module.open_registry.cache_clear()


@pytest.fixture
def data_server(use_registry):
    """The data set of the small registry."""
    files = data_files()
    use_registry(registry_text(files))
    with serving(files) as server:
        yield server


@pytest.fixture
def library(tmp_path):
    """Of the data folder `tmp_path / "data"`."""
    return Library(tmp_path / "data" / "library")
