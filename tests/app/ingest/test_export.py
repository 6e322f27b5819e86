"""The exported pair holds what was imported: every text, every digit."""

import csv

import pytest

from app.catalog import Catalog
from app.ingest.__main__ import main
from tests.app.ingest.imports import import_pair, ingest, items_of, rows_of, write, write_csv

TIMES = {
    "iso": ["2020-07-05 05:27:09.900", "2020-07-05 05:27:09.100", "2020-07-05 05:27:09"],
    "nanoseconds": ["2020-07-05 05:27:09.000000003", "2020-07-05 05:27:09.000000002",
                    "2020-07-05 05:27:09.000000001"],
    "float": ["1598930863.599", "1598930863.5985", "1598930863"],
    "large": ["1598930863599000002", "1598930863599000001", "1598930863599000000.5"],
}  # fmt: skip


def test_export_of_nothing_and_to_nowhere(tmp_path, files, capsys):
    Catalog.create(files["catalog"])
    export = ["export", "--catalog", str(files["catalog"]), "--output"]
    assert main([*export, str(tmp_path / "out")]) == 2
    assert "has no items: import some first" in capsys.readouterr().err
    assert import_pair(files) == 0
    assert main([*export, str(files["items"])]) == 2
    assert "choose another --output" in capsys.readouterr().err


@pytest.mark.parametrize("packed", [False, True])
def test_export_and_import_give_the_same_texts(tmp_path, packed):
    items = write_csv(
        tmp_path / "items.csv",
        [
            ["item_id", "title", "description", "tags", "genre", "year", "isbn"],
            ["01", "Ünï & <T>", 'line\nbreak, "quotes"', "a; b, c", "X, Y", "1999", "007"],
            ["02", "", "", "", "", "", ""],
        ],
    )
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "02,b,3", "01,a,2"])
    first = ingest(
        tmp_path, "hllm", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", interactions,
    )  # fmt: skip
    out, ending = tmp_path / "out", ".csv.gz" if packed else ".csv"
    flags = ["--gzip"] if packed else []
    assert main(["export", "--catalog", str(first.path), "--output", str(out), *flags]) == 0
    again = tmp_path / "again.db"
    assert main(
        ["hllm", "--catalog", str(again), "--items", str(out / f"items{ending}"),
         "--interactions", str(out / f"interactions{ending}")]
    ) == 0  # fmt: skip
    second = Catalog.open(again)
    assert list(second.iter_texts()) == list(first.iter_texts())
    assert second.data_version == first.data_version
    assert list(second.iter_interactions()) == list(first.iter_interactions())
    assert sorted(path.name for path in out.iterdir()) == [
        f"interactions{ending}",
        f"items{ending}",
    ]


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_every_digit_of_a_time_is_kept_through_the_export(files, times):
    rows = [f"i{number},u,{time}" for number, time in enumerate(times, 1)]
    assert import_pair(files, rows=rows) == 0 and import_pair(files, rows=rows) == 0
    assert items_of(files) == ["i3", "i2", "i1"]
    folder = files["catalog"].with_name("pair")
    assert main(["export", "--catalog", str(files["catalog"]), "--output", str(folder)]) == 0
    again = {**files, "catalog": files["catalog"].with_name("again.db")}
    again |= {"items": folder / "items.csv", "interactions": folder / "interactions.csv"}
    assert import_pair(again) == 0
    assert rows_of(again) == rows_of(files)


def second_cells(path):
    with path.open(newline="") as file:
        return [row[1] for row in csv.reader(file)][1:]


def test_formulas_of_strangers_are_told_or_made_harmless(tmp_path, capsys):
    titles = ['=HYPERLINK("http://x","y")', "+1 of 2", "-dash", "@name", "-5", "a=b", "'=x"]
    items = write_csv(
        tmp_path / "items.csv",
        [["item_id", "title"], *([f"i{n}", title] for n, title in enumerate(titles))],
    )
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "i1,@u,2"])
    given = ("--items", items, "--interactions", interactions)
    ingest(tmp_path, "hllm", "--catalog", tmp_path / "c.db", *given).close()
    capsys.readouterr()
    export = ["export", "--catalog", str(tmp_path / "c.db"), "--output"]
    assert main([*export, str(tmp_path / "plain")]) == 0
    assert "5 cells begin with =, +, - or @" in capsys.readouterr().out
    assert second_cells(tmp_path / "plain" / "items.csv") == titles
    assert main([*export, str(tmp_path / "safe"), "--spreadsheet"]) == 0
    assert "do not train on these files" in capsys.readouterr().out
    escaped = second_cells(tmp_path / "safe" / "items.csv")
    assert escaped == [*(f"'{title}" for title in titles[:4]), *titles[4:]]
    assert second_cells(tmp_path / "safe" / "interactions.csv") == ["'@u"]
