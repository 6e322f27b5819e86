"""A check that passed is not repeated; whatever changes makes it run again."""

import os

import pytest
import torch

from hllm import store
from hllm.errors import StaleEmbeddingsError
from hllm.serving import fit_check
from hllm.serving.fit_check import check_once, open_embeddings
from hllm.store import ItemEmbeddings


@pytest.fixture
def run(tmp_path):
    """Run the check; tells whether it really ran."""
    notes, file = tmp_path / "notes", tmp_path / "weights"
    notes.mkdir()
    file.write_text("abc")

    def run(version="v1", notes=notes, error=None):
        ran = []

        def check():
            ran.append(1)
            if error:
                raise error

        check_once(check, files=[file], texts_version=version, notes=notes)
        return bool(ran)

    run.file, run.notes = file, notes
    return run


def test_runs_once_for_the_same_files_and_texts(run):
    assert [run(), run(), run("v2"), run("v2"), run()] == [True, False, True, False, False]


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_changed_file_is_checked_again(run, change):
    assert run()
    if change == "content":
        run.file.write_text("abcd")
    else:
        os.utime(run.file, ns=(1, 1))
    assert run()
    assert not run()


def test_what_failed_is_checked_again(run):
    for _ in range(2):
        with pytest.raises(ValueError, match="too old"):
            run(error=ValueError("too old"))
    assert run()


def test_without_a_version_or_a_folder_it_always_runs(run, tmp_path):
    assert [run(""), run(""), run(notes=None), run(notes=None)] == [True] * 4
    gone = tmp_path / "gone"  # cannot be written
    assert [run(notes=gone), run(notes=gone)] == [True, True]


def test_embeddings_are_verified_once_for_each_change_of_the_file(tmp_path, monkeypatch):
    path, notes = tmp_path / "e.safetensors", tmp_path / "notes"
    notes.mkdir()
    embeddings = ItemEmbeddings(["a", "b"], ["0" * 16] * 2, torch.randn(2, 64), "f")
    embeddings.save(path)
    read = []
    real = store.check_digest

    def counting(name, *rest):
        read.append(name)
        real(name, *rest)

    monkeypatch.setattr(store, "check_digest", counting)
    for _ in range(2):
        assert torch.equal(open_embeddings(path, notes=notes).vectors, embeddings.vectors)
    assert read.count("item_embeddings") == 1
    open_embeddings(path, notes=None)
    assert read.count("item_embeddings") == 2
    content = bytearray(path.read_bytes())
    content[-100] ^= 255
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(StaleEmbeddingsError, match="damaged"):
            open_embeddings(path, notes=notes)


def test_missing_embeddings_say_how_to_make_them(tmp_path):
    with pytest.raises(
        StaleEmbeddingsError, match=r"No item embeddings .* python -m hllm\.sentence"
    ):
        open_embeddings(tmp_path / "no", notes=tmp_path, remedy="python -m hllm.sentence")


def test_only_the_newest_notes_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_check, "MAX_NOTES", 3)
    file, ran = tmp_path / "file", []
    for number in range(6):
        file.write_text(str(number) * (number + 1))
        for _ in range(2):
            check_once(lambda: ran.append(1), files=[file], texts_version="v", notes=tmp_path)
    assert len(ran) == 6
    assert len(list(tmp_path.glob("checked-*"))) == 3
