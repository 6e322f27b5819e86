"""Item embeddings on disk: round trip, damage, staleness, atomic writes."""

import pytest
import torch

from hllm.errors import StaleEmbeddingsError
from hllm.store import ItemEmbeddings, reusable
from hllm.text import text_hash


def embeddings(ids=("a", "b"), texts=("x", "y"), fingerprint="f" * 16):
    return ItemEmbeddings(
        list(ids), [text_hash(t) for t in texts], torch.randn(len(ids), 4).half(), fingerprint
    )


def test_round_trip_keeps_ids_hashes_and_vectors(tmp_path):
    stored = embeddings(ids=("a", "書籍\n"))
    stored.save(tmp_path / "e.safetensors")
    loaded = ItemEmbeddings.load(tmp_path / "e.safetensors")
    assert loaded.item_ids == stored.item_ids
    assert loaded.text_hashes == stored.text_hashes
    assert loaded.fingerprint == stored.fingerprint
    assert torch.equal(loaded.vectors, stored.vectors)


def test_empty_catalogue_round_trips(tmp_path):
    ItemEmbeddings([], [], torch.empty(0, 4), "f").save(tmp_path / "e")
    assert ItemEmbeddings.load(tmp_path / "e").item_ids == []


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x10\0\0\0\0\0\0\0{}"])
def test_damaged_file_is_one_clear_error(tmp_path, content):
    path = tmp_path / "e.safetensors"
    path.write_bytes(content)
    with pytest.raises(StaleEmbeddingsError, match=r"e\.safetensors.*hllm\.embed"):
        ItemEmbeddings.load(path)


def test_truncated_file_is_one_clear_error(tmp_path):
    path = tmp_path / "e.safetensors"
    embeddings().save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StaleEmbeddingsError, match="damaged"):
        ItemEmbeddings.load(path)


def test_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(StaleEmbeddingsError, match=r"No item embeddings .* python -m hllm\.embed"):
        ItemEmbeddings.load(tmp_path / "none")


def test_check_accepts_what_fits_and_items_that_left_the_catalogue():
    embeddings().check("f" * 16, [("a", text_hash("x"))], path="p")


@pytest.mark.parametrize(
    ("fingerprint", "pairs", "message"),
    [
        ("0" * 16, [], "another model"),
        ("f" * 16, [("a", text_hash("changed"))], "1 items are new"),
        ("f" * 16, [("c", text_hash("x")), ("d", text_hash("y"))], "2 items are new"),
    ],
)
def test_check_names_what_is_stale(fingerprint, pairs, message):
    with pytest.raises(StaleEmbeddingsError, match=message):
        embeddings().check(fingerprint, pairs, path="p")


def test_equal_texts_are_two_rows():
    stored = embeddings(texts=("same", "same"))
    find = reusable(stored, stored.fingerprint)
    assert torch.equal(find("b", text_hash("same")), stored.vectors[1])
    assert find("c", text_hash("same")) is None
    assert find("a", text_hash("other")) is None


def test_another_models_vectors_are_not_reused():
    assert reusable(embeddings(), "other")("a", text_hash("x")) is None
