"""Item embeddings on disk: round trip, damage, staleness, atomic writes."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hllm import store
from hllm.errors import StaleEmbeddingsError
from hllm.store import ItemEmbeddings
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
        ("f" * 16, [("a", text_hash("new")), ("d", text_hash("y"))], "2 items are new"),
        (
            "f" * 16,
            [("c", text_hash("x")), ("d", text_hash("y"))],
            "another catalogue: none of the 2",
        ),
    ],
)
def test_check_names_what_is_stale(fingerprint, pairs, message):
    with pytest.raises(StaleEmbeddingsError, match=message):
        embeddings().check(fingerprint, pairs, path="p")


def rotten(path, what=b"\xff"):
    """Overwrite 40 bytes in the middle of the vectors."""
    content = bytearray(path.read_bytes())
    middle = len(content) - len(content) // 3
    content[middle : middle + 40] = what * 40
    path.write_bytes(content)


@pytest.mark.parametrize("what", [b"\xff", b"\x01"])
def test_numbers_that_changed_on_the_disk_are_noticed(tmp_path, what):
    path = tmp_path / "e.safetensors"
    vectors = torch.randn(100, 64).half()
    ids = [f"i{n}" for n in range(100)]
    ItemEmbeddings(ids, ["0" * 16] * 100, vectors, "f").save(path)
    rotten(path, what)
    with pytest.raises(StaleEmbeddingsError, match=r"e\.safetensors is damaged .*have changed"):
        ItemEmbeddings.load(path)


def without_checksums(path, **changes):
    """The file as older versions wrote it."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
        metadata = {key: file.metadata()[key] for key in ("format", "fingerprint")}
    save_file(tensors | changes, path, metadata=metadata)


def test_an_older_file_without_checksums_opens_if_its_numbers_are_finite(tmp_path):
    path = tmp_path / "e.safetensors"
    stored = embeddings()
    stored.save(path)
    without_checksums(path)
    assert torch.equal(ItemEmbeddings.load(path).vectors, stored.vectors)
    vectors = stored.vectors.clone()
    vectors[1, 2] = float("inf")
    without_checksums(path, item_embeddings=vectors)
    with pytest.raises(StaleEmbeddingsError, match=r"item 'b' has NaN or infinity.*hllm\.embed"):
        ItemEmbeddings.load(path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nothing_that_is_not_finite_is_written(tmp_path, bad):
    stored = embeddings()
    stored.vectors[1, 3] = bad
    with pytest.raises(StaleEmbeddingsError, match="embedding of item 'b' has NaN or infinity"):
        stored.save(tmp_path / "e.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_first_row_that_is_not_finite_is_found_across_blocks(monkeypatch):
    monkeypatch.setattr(store, "_NUMBERS_AT_ONCE", 8)
    vectors = torch.zeros(11, 4)
    assert store.first_not_finite(vectors) is None
    vectors[9, 1] = vectors[10, 0] = float("nan")
    assert store.first_not_finite(vectors) == 9
    assert store.first_not_finite(torch.empty(0, 4)) is None


def test_one_vector_for_each_id(tmp_path):
    path = tmp_path / "e.safetensors"
    embeddings().save(path)
    without_checksums(path, item_embeddings=torch.zeros(3, 4))
    with pytest.raises(StaleEmbeddingsError, match="not one vector and one text hash"):
        ItemEmbeddings.load(path)


def test_which_files_may_be_replaced(tmp_path):
    own, weights, cut, other = (
        tmp_path / name for name in ("a.safetensors", "b.safetensors", "c.safetensors", "d.csv")
    )
    embeddings().save(own)
    save_file({"w": torch.zeros(2)}, weights, metadata={"format": "pt"})
    cut.write_bytes(own.read_bytes()[:30])
    other.write_text("item_id,title")
    found = [store.is_embeddings_file(path) for path in (own, weights, cut, other, tmp_path)]
    assert found == [True, False, True, False, False]
