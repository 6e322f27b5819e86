"""What is said before anything is done."""

import pytest

from app.get import plan
from app.get.plan import data_files, data_part, describe, disk_bytes, model_part, pair_part
from app.get.registry import open_registry

REGISTRY = open_registry()
GAMES, BOOKS = REGISTRY.data["amazon-games-2023"], REGISTRY.models["hllm-1b-books"]


def test_every_file_size_disk_and_time_are_said(library):
    parts = [
        data_part(GAMES, library, splits=True, done=False),
        model_part(BOOKS, library, REGISTRY),
        pair_part(BOOKS, GAMES.kept),
    ]
    text = describe(parts, library.folder)
    remotes = [GAMES.items, GAMES.interactions, *GAMES.splits, *BOOKS.weights]
    assert all(remote.url in text for remote in remotes)
    assert "tokenizer.json" in text and "model.safetensors" not in text  # TinyLlama's weights
    assert "8.8 GB" in text and "embeddings of about 25,612 items on" in text
    assert "Together: 9.0 GB to download" in text
    assert 13e9 < disk_bytes(parts) < 15e9


def test_what_is_there_is_not_counted(library):
    for file in data_files(GAMES, library):
        file.path.parent.mkdir(parents=True)
        file.path.write_bytes(b"")
    part = data_part(GAMES, library, splits=False, done=False)
    assert part.download_bytes == 0 and part.made_bytes > 0
    assert disk_bytes([data_part(GAMES, library, splits=False, done=True)]) == 0
    library.home("hllm-1b-books").mkdir()
    assert disk_bytes([model_part(BOOKS, library, REGISTRY)]) == 0


def test_files_of_one_name_have_two_places(library):
    paths = {file.path for file in data_files(REGISTRY.data["hllm-books"], library)}
    assert len(paths) == 2 and {path.name for path in paths} == {"amazon_books.csv"}


def test_a_gpu_and_a_larger_model_change_the_time(monkeypatch):
    monkeypatch.setattr(plan.shutil, "which", lambda _: None)
    slow = pair_part(BOOKS, 1000).seconds
    assert pair_part(REGISTRY.models["hllm-7b-books"], 1000).seconds > 5 * slow
    monkeypatch.setattr(plan.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert pair_part(BOOKS, 1000).seconds < slow / 100


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (90, "90 s"), (600, "10 minutes"), (9000, "2 hours"), (10**6, "12 days")],
)
def test_times_are_said_in_units_of_people(seconds, words):
    assert plan._time(seconds) == words
