"""Names in the place of paths."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import CatalogError
from app.get.names import Library, check_name, wanted, with_paths
from app.get.registry import open_registry
from app.settings import Settings, parse_settings

REGISTRY = open_registry()
GAMES, BOOKS = Path("amazon-games-2023"), Path("hllm-1b-books")


def test_names_become_paths_of_the_library(tmp_path):
    settings = parse_settings(
        ["--catalog", str(GAMES), "--model", str(BOOKS), "--data-dir", str(tmp_path)], {}
    )
    found = with_paths(settings)
    home = tmp_path / "library" / "amazon-games-2023"
    assert (found.catalog, found.model) == (home / "catalog.db", home / "hllm-1b-books")
    assert replace(found, catalog=GAMES, model=BOOKS) == settings


def test_paths_and_what_exists_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    GAMES.mkdir()
    for settings in (
        Settings(),
        Settings(catalog=Path("c.db"), model=Path("runs/x")),
        Settings(catalog=GAMES),
    ):
        assert with_paths(settings) == settings


def test_a_model_has_a_folder_for_each_catalogue(tmp_path):
    library = Library(tmp_path / "library")
    one, other = (wanted(tmp_path / d / "c.db", BOOKS, library, REGISTRY).folder for d in "ab")
    assert one != other and one.name == other.name == "hllm-1b-books"
    assert one == wanted(tmp_path / "a" / "c.db", BOOKS, library, REGISTRY).folder


@pytest.mark.parametrize(
    ("catalog", "model", "sentence"),
    [
        (BOOKS, None, "hllm-1b-books is a model: give it with --model"),
        (None, GAMES, "amazon-games-2023 is a data set: give it with --catalog"),
        (None, BOOKS, "--model hllm-1b-books needs a catalogue"),
        (GAMES, Path("qwen3-0.6b"), "qwen3-0.6b is a language model to train with"),
    ],
)
def test_names_of_another_kind_say_so(tmp_path, catalog, model, sentence):
    with pytest.raises(CatalogError, match=sentence):
        wanted(catalog, model, Library(tmp_path), REGISTRY)


def test_what_is_neither_there_nor_known_may_be_a_misspelt_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = r"no games here, and no such name .*did you mean amazon-games-.*app\.get --list"
    with pytest.raises(CatalogError, match=sentence):
        check_name(Path("games"), "--catalog", REGISTRY.data, REGISTRY)
    Path("games").mkdir()
    for value in (Path("games"), Path("a/games"), Path("games.db"), GAMES, BOOKS, None):
        check_name(value, "--catalog", REGISTRY.data, REGISTRY)
