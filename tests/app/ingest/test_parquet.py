"""Parquet: bytes that are text, times, and files that claim too much memory."""

from decimal import Decimal

import pyarrow
import pyarrow.parquet

from tests.app.ingest.imports import import_pair, rows_of


def test_bytes_in_parquet_are_text(run, stored, tmp_path):
    path = tmp_path / "items.parquet"
    table = pyarrow.table(
        {"item_id": [b"101", b"102", b"103"], "title": [b"One", "Zwölf".encode(), b"\xff"],
         "tags": [[b"a", b"b"], None, None], "price": [1.5, None, 2.0]}
    )  # fmt: skip
    pyarrow.parquet.write_table(table, path)
    code, said = run("table", items=(path.name, path.read_bytes()))
    assert code == 0 and "title holds bytes that are not UTF-8" in said
    found = stored()
    assert [item.title for item in found.values()] == ["One", "Zwölf"]
    assert list(found) == ["101", "102"] and found["101"].tags == ("a", "b")


def test_a_small_parquet_cannot_ask_for_much_memory(run, stored, tmp_path):
    path = tmp_path / "bomb.parquet"
    count = 5_000
    large = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([1] + [0] * (count - 1), pyarrow.int32()), pyarrow.array(["x" * 2**23, "t"])
    )
    table = pyarrow.table({"item_id": [f"i{n}" for n in range(count)], "title": large})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 0 and "title is longer than 4194304 bytes" in said
    assert list(stored()) == ["i0"]


def test_a_parquet_that_claims_gigabytes_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.parquet.MAX_UNPACKED_BYTES", 2**20)
    path = tmp_path / "bomb.parquet"
    table = pyarrow.table({"item_id": ["a"], "title": ["x" * 2**22]})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 2 and "column 'title' unpacks from" in said


def test_parquet_times(files, tmp_path):
    path = tmp_path / "data.parquet"
    stamps = pyarrow.array([1593926829_000000003, 1593926829_000000001], pyarrow.timestamp("ns"))
    table = pyarrow.table({"user_id": ["u", "u"], "item_id": [b"i1", b"i2"], "timestamp": stamps})
    pyarrow.parquet.write_table(table, path)
    assert import_pair({**files, "interactions": path}) == 0
    assert rows_of(files) == [
        ("i2", Decimal("1593926829.000000001")), ("i1", Decimal("1593926829.000000003")),
    ]  # fmt: skip


def test_a_row_of_lists_cannot_ask_for_much_memory(run, stored, tmp_path):
    path = tmp_path / "lists.parquet"
    texts = pyarrow.array(["x" * 2**21] * 5 + ["a", "b"])
    tags = pyarrow.ListArray.from_arrays(pyarrow.array([0, 5, 7], pyarrow.int32()), texts)
    sets = pyarrow.array([[("k", 1)], None], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    facts = pyarrow.array([{"a": "x"}, {"a": None}], pyarrow.struct({"a": pyarrow.large_string()}))
    pairs = pyarrow.array([[1, 2], [3, 4]], pyarrow.list_(pyarrow.int32(), 2))
    names = pyarrow.array(["One", "Two"], pyarrow.large_string())
    table = pyarrow.table(
        {"item_id": ["l", "m"], "title": names, "tags": tags, "sets": sets, "facts": facts,
         "pairs": pairs}
    )  # fmt: skip
    pyarrow.parquet.write_table(table, path, compression="zstd")
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 0 and "tags is longer than 4194304 bytes" in said
    (item,) = stored().values()
    assert (item.title, item.tags, item.extra["pairs"]) == ("Two", ("a", "b"), [3, 4])


def test_a_list_of_very_many_values_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.parquet.MAX_LISTED_VALUES", 1000)
    path = tmp_path / "run.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"item_id": ["a"], "tags": [[0] * 1002]}), path)
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 2 and "holds 1,002 values in 1 rows" in said


def test_very_many_columns_are_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.parquet.MAX_COLUMNS", 2)
    path = tmp_path / "wide.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"item_id": ["a"], "b": [1], "c": [2]}), path)
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 2 and "has 3 columns, more than 2" in said
