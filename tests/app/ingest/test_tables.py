"""Tables: columns by name, by place or by --map; other delimiters and headers; covers."""

import csv

import pyarrow
import pyarrow.parquet
import pytest

from tests.app.ingest.imports import histories, ingest, write

ITEMS = ("items.csv", "item_id,title\nA1,One\nA2,Two\n")


def test_another_delimiter_is_named_and_can_be_given(run, stored):
    items = ("items.csv", "item_id;title\n0001;A, B & C\n")
    code, said = run("table", items=items)
    assert code == 2 and "semicolons in it: give --delimiter ';'" in said
    assert run("table", "--delimiter", ";", items=items)[0] == 0
    assert stored()["0001"].title == "A, B & C"


def test_zip_is_named(run):
    code, said = run("table", items=("items.csv", b"PK\x03\x04....\x00\x1b[2Jitems.csv"))
    assert code == 2 and "is a zip archive" in said and "\x1b" not in said


def test_a_pair_without_a_header_loses_nothing(run, tmp_path):
    code, said = run("hllm", items=ITEMS, interactions=("pair.csv", "A1,U1,100\nA2,U1,200\n"))
    assert code == 0 and "line 1 is not a header" in said
    assert histories(tmp_path) == [("U1", "A1", 100), ("U1", "A2", 200)]
    code, said = run("hllm", interactions=("user_first.csv", "U1,A1,100\nU1,A2,200\n"))
    assert code == 2 and "none of its 2 interactions names an item" in said
    code, said = run("table", items=("i.csv", "1,One,1999\n2,Two,2000\n"))
    assert code == 2 and "looks like data, and the header is missing" in said


def test_unknown_names_are_taken_by_place_and_it_is_said(run, tmp_path):
    pair = ("pair.csv", "what,who,when\nA1,U1,100\n")
    code, said = run("hllm", items=ITEMS, interactions=pair)
    assert code == 0 and "line 1 is taken for the header" in said
    assert histories(tmp_path) == [("U1", "A1", 100)]


def test_names_of_columns_cannot_drive_the_terminal(run):
    code, said = run("table", items=("i.csv", "\x1b[2Jname,\x07b\n1,2\n"))
    assert code == 2 and "\x1b" not in said and "\x07" not in said


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("user_id,item_id,timestamp", "u,1,5"),
        ("timestamp,item_id,user_id", "5,1,u"),
        ("iid,who,when", "1,u,5"),
    ],
)
def test_hllm_interactions_by_name_or_by_place(tmp_path, header, row):
    items = write(tmp_path / "items.csv", ["item_id,title", "1,One"])
    interactions = write(tmp_path / "i.csv", [header, row])
    catalog = ingest(
        tmp_path, "hllm", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", interactions,
    )  # fmt: skip
    assert list(catalog.iter_interactions()) == [("u", "1", 5)]


def test_pixelrec(tmp_path):
    covers = tmp_path / "covers"
    covers.mkdir()
    (covers / "i1.jpg").write_bytes(b"jpg")
    items = write(
        tmp_path / "info.csv",
        ["item_id,view_number,comment_number,title,tag,description",
         "i1,120,3,猫の動画,动物圈,可爱", "../i2,7,0,Dog,,"],
    )  # fmt: skip
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "i1,u,1600000000"])
    catalog = ingest(
        tmp_path, "pixelrec", "--catalog", tmp_path / "c.db", "--items", items,
        "--covers", covers,
    )  # fmt: skip
    found = catalog.get(["i1", "../i2"])
    assert found["i1"].image == str(covers / "i1.jpg") and found["../i2"].image == ""
    assert found["i1"].popularity == 120 and found["i1"].tags == ("动物圈",)
    assert found["i1"].extra == {"comment_number": "3", "tag": "动物圈"}
    catalog = ingest(
        tmp_path, "pixelrec", "--catalog", tmp_path / "c.db", "--interactions", interactions
    )
    assert catalog.popular(1)[0].popularity == 1


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_table_with_mapping(tmp_path, kind):
    rows = {
        "movieId": [10, 11],
        "name": ["Alien", "Heat"],
        "genres": ["Horror|Sci-Fi", "Crime, Drama"],
        "made": [1979, None],
        "score": [8.5, 8.3],
    }
    path = tmp_path / f"movies.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(rows), path)
    else:
        sep = "," if kind == "csv" else "\t"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter=sep)
            writer.writerow(rows)
            writer.writerows(zip(*rows.values(), strict=True))
    watched = write(tmp_path / "watched.csv", ["who,movieId,when", "u,10,2024-01-02T00:00:00"])
    catalog = ingest(
        tmp_path, "table", "--catalog", tmp_path / "c.db", "--items", path,
        "--map", "item_id=movieId,title=name,year=made", "--interactions", watched,
        "--map-interactions", "user_id=who,timestamp=when",
    )  # fmt: skip
    found = catalog.get(["10", "11"])
    assert found["10"].categories == ("Horror", "Sci-Fi") and found["10"].year == 1979
    assert found["11"].categories == ("Crime", "Drama") and found["11"].year is None
    assert float(found["10"].extra["score"]) == 8.5
    assert list(catalog.iter_interactions()) == [("u", "10", 1704153600)]
