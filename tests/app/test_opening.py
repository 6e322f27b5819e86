"""From settings to a service: pictures that the catalogue knows of, and advice at the start."""

import shutil

import pytest
from PIL import Image

from app.ingest.__main__ import main as ingest
from app.opening import open_service
from app.settings import Settings


@pytest.fixture
def imported(tmp_path):
    """A catalogue that was imported with a folder of pictures."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (40, 60), "red").save(pictures / "a1.jpg")
    long_id = "x" * 305
    (tmp_path / "items.csv").write_text(f"item_id,title\na1,One\na2,Two\n{long_id},Long\n")
    arguments = ["--catalog", tmp_path / "c.db", "--items", tmp_path / "items.csv"]
    assert ingest(["pixelrec", *map(str, arguments), "--covers", str(pictures)]) == 0
    return tmp_path / "c.db"


def covers_of(catalog, **settings):
    service = open_service(Settings(catalog=catalog, **settings))
    return [
        "picture" if c.cover.startswith("covers?") else "drawn"
        for c in service.answer([], "s").popular
    ]


def test_pictures_of_an_import_are_shown_without_another_option(imported):
    assert sorted(covers_of(imported)) == ["drawn", "drawn", "picture"]


def test_named_folder_counts_more_than_that_of_the_import(imported, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for item_id in ("a1", "a2"):
        Image.new("RGB", (40, 60)).save(other / f"{item_id}.png")
    assert sorted(covers_of(imported, covers=other)) == ["drawn", "picture", "picture"]


def test_folder_that_is_gone_or_another_one_is_said_once_and_covers_are_drawn(imported, caplog):
    pictures = imported.with_name("pictures")
    pictures.rename(imported.with_name("moved"))
    assert covers_of(imported) == ["drawn"] * 3
    # What a catalogue of strangers names is not shown: it cannot know the folder's inode number.
    shutil.copytree(imported.with_name("moved"), pictures)
    assert covers_of(imported) == ["drawn"] * 3
    said = [r.getMessage() for r in caplog.records if "--covers FOLDER" in r.getMessage()]
    assert len(said) == 2


def test_models_are_loaded_before_gradio_can_take_their_modules_away(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_WATCH_DIRS", "somewhere")
    service = open_service(Settings(data_dir=tmp_path))
    assert [column.info().state for column in service.columns] == ["ready", "ready"]
    # Both built-in models read the same texts, and say so.
    keys = ("title", "creator", "categories", "tags", "series")
    assert [column.info().reads for column in service.columns] == [keys, keys]
