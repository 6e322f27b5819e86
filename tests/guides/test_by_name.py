"""docs/by-name.md: a project whose registry has small files at the same names."""

import pytest

from tests.app.get.file_server import serving
from tests.app.get.small_registry import data_files, model_files, registry_text
from tests.guides.pages import block, inline

PAGE = "by-name.md"


def test_what_is_known_and_what_must_be_got_by_hand(reader):
    said = reader.types(inline("README.md", "python -m app.get --list"))
    assert "amazon-games-2023" in said and "hllm-1b-books" in said
    said = reader.types(inline(PAGE, "python -m app.get pixelrec-50k"), code=2)
    assert "save" in said and len(said.splitlines()) == 1


@pytest.fixture
def named(games, tmp_path_factory):
    """A reader, and a server that has what the registry names."""
    files = data_files() | model_files(tmp_path_factory.mktemp("model"))
    registry = registry_text(files).replace("hllm-small", "hllm-1b-books")
    registry = registry.replace("models.llama-small", 'models."qwen3-0.6b"')
    registry = registry.replace("llama-small", "qwen3-0.6b")
    (games.folder / "assets/registry.toml").write_text(registry)
    with serving(files) as server:
        games.agreed = f" --yes --mirror {server.url}"
        yield games


@pytest.mark.long
def test_data_and_model_by_name(named):
    listed, get, serve = block(PAGE, "get").splitlines()
    assert "here" not in named.types(listed)
    refused = named.types(get, code=2)
    assert "Nothing was downloaded" in refused and "licence" in refused
    said = named.types(get + named.agreed)
    assert said.splitlines()[-1].strip() == serve
    page = "python app.py --catalog amazon-games-2023 --model hllm-1b-books"
    assert serve == inline("README.md", page)
    with named.serves(serve):
        pass
    named.types("cp data/games.db .")
    with named.serves(
        inline(PAGE, "python app.py --catalog games.db --model hllm-1b-books") + " --yes"
    ):
        pass


@pytest.mark.long
def test_models_by_name(named):
    said = named.types(inline("checkpoints.md", "python -m app.get hllm-1b-books") + named.agreed)
    assert "data/library/hllm-1b-books" in said
    named.types(inline("faq.md", "python -m app.get qwen3-0.6b") + named.agreed)
    assert (named.folder / "data/library/qwen3-0.6b/config.json").is_file()
