import pytest

from app.errors import CatalogError
from app.settings import Settings
from app.static_space import export
from app.static_space.export import MAX_ITEMS, check_size, write_static


def test_catalogues_have_a_bound():
    check_size(MAX_ITEMS)
    with pytest.raises(CatalogError, match="at most 20,000"):
        check_size(MAX_ITEMS + 1)
    with pytest.raises(CatalogError, match="needs 2"):
        check_size(0)


def test_a_catalogue_that_is_too_large_is_refused_before_a_model_is_loaded(
    service, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "MAX_ITEMS", 39)
    monkeypatch.setattr(export, "open_service", None)
    settings = Settings(catalog=service.catalog.path, data_dir=tmp_path)
    with pytest.raises(CatalogError, match="has 40 items: a static page takes at most 39"):
        write_static(tmp_path / "page", settings, print)
