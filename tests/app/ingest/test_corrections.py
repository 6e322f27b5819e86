"""What a file brings in, in which order, and what becomes of it when the file is corrected."""

from decimal import Decimal

import pyarrow
import pyarrow.parquet
import pytest

from app.catalog import Catalog, CatalogItem, Query
from app.errors import CatalogError
from app.ingest.__main__ import main


@pytest.fixture
def files(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n" + "".join(f"i{n},Title {n}\n" for n in range(1, 9)))
    return {"items": items, "interactions": tmp_path / "data.csv", "catalog": tmp_path / "c.db"}


def run(files, rows=None, *more, header="item_id,user_id,timestamp"):
    if rows is not None:
        files["interactions"].write_text("\n".join([header, *rows]) + "\n")
    arguments = ["hllm", "--catalog", files["catalog"], "--items", files["items"]]
    arguments += ["--interactions", files["interactions"], *more]
    return main([str(argument) for argument in arguments])


def rows_of(files):
    """As training reads them: by time, and among equal times as they are stored."""
    with Catalog.open(files["catalog"]) as catalog:
        rows = [(item, time) for _, item, time in catalog.iter_interactions()]
    return sorted(rows, key=lambda row: row[1])


def items_of(files):
    return [item for item, _ in rows_of(files)]


def test_a_corrected_file_keeps_and_says_so_or_replaces(files, capsys):
    assert run(files, ["i1,u,100", "i2,u,300"]) == 0
    assert "no longer" not in capsys.readouterr().out
    assert run(files, ["i1,u,400", "i2,u,300"]) == 0
    out = capsys.readouterr().out
    assert "kept: 0 items and 1 interactions of earlier versions" in out and "--replace" in out
    assert rows_of(files) == [("i1", 100), ("i2", 300), ("i1", 400)]
    assert run(files) == 0 and "kept: 0 items and 1 interactions" in capsys.readouterr().out
    assert run(files, None, "--replace") == 0
    assert "replaced: 0 items and 1 interactions removed" in capsys.readouterr().out
    assert rows_of(files) == [("i2", 300), ("i1", 400)]
    assert run(files) == 0 and "no longer" not in capsys.readouterr().out


def test_replacing_items_takes_all_that_hangs_on_them(files, capsys):
    assert run(files, ["i1,u,1", "i8,u,2"]) == 0
    text = files["items"].read_text()
    files["items"].write_text(text.replace("i8,Title 8\n", ""))
    assert run(files, None, "--replace") == 0
    assert "replaced: 1 items and 0 interactions" in capsys.readouterr().out
    assert rows_of(files) == [("i1", 1)]
    other = {**files, "catalog": files["catalog"].with_name("other.db")}
    assert run(other) == 0
    with Catalog.open(files["catalog"]) as a, Catalog.open(other["catalog"]) as b:
        assert a.num_items == b.num_items == 7 and a.data_version == b.data_version
        assert a.page(Query()).total == b.page(Query()).total == 7


def test_a_row_that_moves_to_another_file_stays(files, tmp_path):
    second = tmp_path / "second.csv"
    second.write_text("item_id,user_id,timestamp\ni2,u,2\n")
    assert run(files, ["i1,u,1"], second) == 0
    second.write_text("item_id,user_id,timestamp\ni3,u,3\n")
    assert run(files, ["i1,u,1", "i2,u,2"], second, "--replace") == 0
    assert items_of(files) == ["i1", "i2", "i3"]


def test_rows_of_other_files_stay(files, tmp_path):
    assert run(files, ["i1,u,1"]) == 0
    other = {**files, "interactions": tmp_path / "other.csv"}
    assert run(other, ["i2,u,2"], "--replace") == 0
    assert items_of(files) == ["i1", "i2"]


def test_equal_times_keep_the_order_of_the_file_whenever_items_come(files):
    whole = files["items"].read_text()
    order = ["i5", "i1", "i7", "i3", "i2"]
    for known in (("i1", "i3"), ("i1", "i3", "i7"), None):
        lines = [line for line in whole.splitlines() if not known or line[:2] in (*known, "it")]
        files["items"].write_text("\n".join(lines) + "\n")
        assert run(files, [f"{item},u,7" for item in order] if known else None) == 0
    assert items_of(files) == order
    # Another order in a corrected file is its order, too.
    assert run(files, [f"{item},u,7" for item in reversed(order)]) == 0
    assert items_of(files) == order[::-1]


def test_rows_without_a_file_or_from_before_take_the_order_of_a_file(files):
    with Catalog.create(files["catalog"]) as catalog:
        catalog.add_items([CatalogItem(item_id=f"i{n}") for n in range(1, 4)])
        catalog.add_interactions([("u", "i1", 7), ("u", "i2", 7), ("v", "i3", 7)])
    assert run(files, ["i2,u,7", "i1,u,7"]) == 0
    assert items_of(files) == ["i3", "i2", "i1"]
    with Catalog.open(files["catalog"]) as catalog:
        catalog.add_interactions([("w", "i1", 7)])
        assert len(list(catalog.iter_interactions())) == 4


TIMES = {
    "iso": ["2020-07-05 05:27:09.900", "2020-07-05 05:27:09.100", "2020-07-05 05:27:09"],
    "nanoseconds": ["2020-07-05 05:27:09.000000003", "2020-07-05 05:27:09.000000002",
                    "2020-07-05 05:27:09.000000001"],
    "float": ["1598930863.599", "1598930863.5985", "1598930863"],
    "large": ["1598930863599000002", "1598930863599000001", "1598930863599000000.5"],
}  # fmt: skip


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_every_digit_of_a_time_is_kept_through_the_export(files, times):
    rows = [f"i{number},u,{time}" for number, time in enumerate(times, 1)]
    assert run(files, rows) == 0 and run(files, rows) == 0
    assert items_of(files) == ["i3", "i2", "i1"]
    folder = files["catalog"].with_name("pair")
    assert main(["export", "--catalog", str(files["catalog"]), "--output", str(folder)]) == 0
    again = {**files, "catalog": files["catalog"].with_name("again.db")}
    again |= {"items": folder / "items.csv", "interactions": folder / "interactions.csv"}
    assert run(again) == 0
    assert rows_of(again) == rows_of(files)


def test_a_finer_time_later_makes_no_doubles(files, tmp_path):
    assert run(files, ["i1,u,1", "i2,u,1000", "i1,u,1000"]) == 0
    finer = {**files, "interactions": tmp_path / "finer.csv"}
    assert run(finer, ["i3,u,1.001", "i1,u,1", "i4,u,1e3"]) == 0
    assert rows_of(files) == [
        ("i1", 1), ("i3", Decimal("1.001")), ("i2", 1000), ("i1", 1000), ("i4", 1000),
    ]  # fmt: skip


def test_times_in_another_unit_beside_fine_ones(files, tmp_path, capsys):
    assert run(files, ["i1,u,2020-07-05 05:27:09.000000003"]) == 0
    other = {**files, "interactions": tmp_path / "other.csv"}
    assert run(other, ["i2,u,1593926829000"]) == 2
    assert "seems to be in another unit" in capsys.readouterr().err
    with Catalog.open(files["catalog"]) as catalog, pytest.raises(CatalogError, match="unit"):
        catalog.add_interactions([("u", "i1", 2**62)])


def test_parquet_times(files, tmp_path):
    path = tmp_path / "data.parquet"
    stamps = pyarrow.array([1593926829_000000003, 1593926829_000000001], pyarrow.timestamp("ns"))
    table = pyarrow.table({"user_id": ["u", "u"], "item_id": [b"i1", b"i2"], "timestamp": stamps})
    pyarrow.parquet.write_table(table, path)
    assert run({**files, "interactions": path}) == 0
    assert rows_of(files) == [
        ("i2", Decimal("1593926829.000000001")), ("i1", Decimal("1593926829.000000003")),
    ]  # fmt: skip


def test_ids_that_do_not_meet_are_told(files, capsys):
    assert run(files, ["i1,u,1", "x9,u,2"]) == 0
    assert (
        "1 left out because their item is not in the catalogue (50.0% of data.csv; items 'x9')"
        in (capsys.readouterr().out)
    )
    assert run(files, ["1.0,u,1", "2.0,u,2"]) == 2
    error = capsys.readouterr().err
    assert "none of its 2 interactions names an item" in error
    assert "'1.0', '2.0'" in error and "'i1'" in error


def test_repeated_item_ids_are_named(files, capsys, monkeypatch):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 3, "interactions": 3})
    text = files["items"].read_text() + "i2,Other\n"
    files["items"].write_text(text)
    for _ in range(2):
        assert run(files, ["i1,u,1"]) == 0
        out = capsys.readouterr().out
        assert "1 records have an item id that their file had before" in out
        assert "'i2' (lines 3 and 10)" in out
    with Catalog.open(files["catalog"]) as catalog:
        assert catalog.get(["i2"])["i2"].title == "Other"
