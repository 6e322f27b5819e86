"""Packed ids and hashes are what a list and a dictionary would be, in much less memory."""

import tracemalloc

import numpy as np
import pytest

from hllm import packed
from hllm.packed import ItemIds, PackedHashes

NAMES = ["b", "a", "", "中文", "a\x00", "x" * 300, "é", "10"]


@pytest.fixture(params=["as Python hashes", "all alike", "in pairs"])
def hashing(request, monkeypatch):
    """Different ids may have one hash."""
    hash_of = {"as Python hashes": hash, "all alike": lambda _: 7, "in pairs": lambda i: len(i) % 4}
    monkeypatch.setattr(packed, "hash", hash_of[request.param], raising=False)


@pytest.mark.usefixtures("hashing")
def test_ids_are_a_list_and_know_their_rows():
    ids = ItemIds(NAMES)
    assert ids == NAMES and list(ids) == NAMES and ids[1:4] == NAMES[1:4]
    assert [ids[row] for row in range(-8, 8)] == NAMES + NAMES
    assert ids.rows(NAMES[::-1]).tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert ids.rows(["é", "z", "b", "\ud800", "a\x00\x00"]).tolist() == [6, -1, 0, -1, -1]
    assert [name in ids for name in ("a", "z", None, 10, ["a"])] == [True, False] + 3 * [False]
    assert (ids.row("10"), ids.row("11")) == (7, None)
    assert ids != NAMES[:-1] and ids != [*NAMES[:-1], "11"]
    with pytest.raises(IndexError):
        ids[8]
    with pytest.raises(IndexError):
        ids[-9]


def test_no_items():
    assert ItemIds([]) == [] and ItemIds([]).rows(["a"]).tolist() == [-1] and "a" not in ItemIds([])
    assert PackedHashes(np.zeros((0, 8), np.uint8)) == []


def test_what_is_packed_is_not_packed_again():
    ids = ItemIds(NAMES)
    assert ItemIds.of(ids) is ids and ItemIds.of(NAMES) == ids


def test_hashes_are_their_digits():
    values = np.random.default_rng(3).integers(0, 256, (1_000, 8), dtype=np.uint8)
    expected = [row.tobytes().hex() for row in values]
    assert PackedHashes(values) == expected and PackedHashes(values)[-1] == expected[-1]


def test_ids_take_a_fraction_of_a_list_and_a_dictionary():
    names = (f"B{number:09d}" for number in range(100_000))
    tracemalloc.start()
    as_list = list(names)
    as_dict = dict(zip(as_list, range(len(as_list)), strict=True))
    in_python = tracemalloc.get_traced_memory()[0]
    ids = ItemIds(as_list)
    in_arrays = tracemalloc.get_traced_memory()[0] - in_python
    tracemalloc.stop()
    assert 0 < in_arrays < in_python / 4
    assert ids.rows(as_list[::7]).tolist() == [as_dict[name] for name in as_list[::7]]
