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
