"""Histories of a file: whole, in order of time, and never more rows in memory than allowed."""

import gzip
import random

import pytest

from hllm.errors import DataError
from hllm.histories import Histories


def write(path, rows, header="user_id,item_id,timestamp"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def shuffled(num_users=300, length=20, seed=5):
    rows = [f"u{u},i{u % 7}-{n},{n}" for u in range(num_users) for n in range(length)]
    random.Random(seed).shuffle(rows)
    return rows


@pytest.mark.parametrize("rows_in_memory", [10**6, 500, 7])
def test_every_history_is_whole_and_in_order(tmp_path, rows_in_memory):
    path = write(tmp_path / "h.csv", shuffled())
    with Histories(path, rows_in_memory=rows_in_memory) as histories:
        found = dict(histories)
        assert list(histories) == list(found.items())  # again, in the same order
    assert found == {f"u{u}": [f"i{u % 7}-{n}" for n in range(20)] for u in range(300)}


def test_few_rows_are_held_at_once(tmp_path):
    path = write(tmp_path / "h.csv", shuffled())
    with Histories(path, rows_in_memory=500) as histories:
        assert sum(1 for _ in histories) == 300
        assert histories.num_rows == 6000
        assert histories.most_rows_held <= 500
        folder = histories._folder.name
    assert not (tmp_path / folder).exists()


def test_users_come_as_the_file_has_them_and_equal_times_too(tmp_path):
    rows = ["b,x,5", "a,y,2024-01-02", "b,w,5", 'a,"z,1",2023-12-31T10:00:00.5', "b,v,4.5"]
    with Histories(write(tmp_path / "h.csv", rows)) as histories:
        assert list(histories) == [("b", ["v", "x", "w"]), ("a", ["z,1", "y"])]


def test_without_times_the_rows_are_in_order(tmp_path):
    path = write(tmp_path / "h.csv", ["2,a", "1,a", "2,b"], "item_id,user_id")
    packed = tmp_path / "h.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for source in (path, packed):
        with Histories(source) as histories:
            assert list(histories) == [("a", ["2", "1"]), ("b", ["2"])]


def test_the_digest_names_the_content(tmp_path):
    digests = []
    for rows in (["a,1,2"], ["a,1,2"], ["a,1,3"]):
        with Histories(write(tmp_path / "h.csv", rows)) as histories:
            digests.append(histories.digest)
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (["a,1"], "user_id,item", "line 1: no column item_id among user_id, item"),
        (["a,1,2", "a,1,soon"], "user_id,item_id,timestamp", "line 3: timestamp 'soon'"),
        (["a,1,2,"], "user_id,item_id,timestamp", "line 2: has 4 columns"),
        (["a,,2"], "user_id,item_id,timestamp", "line 2: item_id is empty"),
        ([r"\N,b,2"], "user_id,item_id,timestamp", "line 2: user_id is empty"),
        ([], "user_id,item_id,timestamp", "no interactions"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, rows, header, message):
    with pytest.raises(DataError, match=message):
        Histories(write(tmp_path / "h.csv", rows, header))
