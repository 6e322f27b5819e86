"""What a file brings in, in which order, and what becomes of it when the file is corrected."""

from decimal import Decimal

import pytest

from app.catalog import Catalog, CatalogItem, Query
from app.errors import CatalogError
from tests.app.ingest.imports import import_pair, items_of, rows_of


@pytest.fixture
def files(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n" + "".join(f"i{n},Title {n}\n" for n in range(1, 9)))
    return {"items": items, "interactions": tmp_path / "data.csv", "catalog": tmp_path / "c.db"}


def run(files, rows=None, *more):
    return import_pair(files, *more, rows=rows)


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
