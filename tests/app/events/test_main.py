"""python -m app.events from the command line: files, counts, and one-line errors."""

import csv
from contextlib import closing

import pytest

from app.catalog import Catalog, CatalogItem
from app.catalog.events import BlindPick, Event, EventFile, events_path
from app.events.__main__ import main


@pytest.fixture
def catalog(tmp_path):
    path = tmp_path / "c.db"
    with Catalog.create(path, name="Books & <co>") as catalog:
        catalog.add_items([CatalogItem(item_id="=a")])
    with closing(EventFile(events_path(path))) as file:
        file.add([Event(time=0.5, session="s", kind="shown", model="hllm", item_ids=["=a", "b"])])
        file.add_blind_pick(
            BlindPick(time=1.5, session="s", seed="5eed", list_id="l", item_id="b", position=2,
                      team="baseline")
        )  # fmt: skip
    return path


@pytest.mark.parametrize("flags", [[], ["--spreadsheet"]])
def test_export_writes_a_row_for_each_item(catalog, tmp_path, capsys, flags):
    out = tmp_path / "out.csv"
    assert main(["export", str(catalog), str(out), *flags]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["item_id"] for row in rows] == ["'=a" if flags else "=a", "b", "b"]
    assert rows[0]["time"] == "1970-01-01T00:00:00.500+00:00" and rows[1]["rank"] == "2"
    assert (rows[2]["kind"], rows[2]["team"], rows[2]["hllm_rank"]) == ("blind", "baseline", "")
    said = capsys.readouterr().out
    assert f"{out}: 3 rows: 1 blind, 2 shown" in said
    assert ("--spreadsheet" in said) is (not flags)


@pytest.mark.parametrize("ending", ["svg", "html"])
def test_plot_makes_a_picture_and_says_what_it_shows(catalog, tmp_path, capsys, ending):
    out = tmp_path / f"out.{ending}"
    assert main(["plot", str(catalog), str(out)]) == 0
    picture = out.read_text(encoding="utf-8")
    assert "<svg" in picture and "Books &amp; &lt;co&gt;" in picture
    said = capsys.readouterr().out
    assert "1 pick of 1 visit: HLLM 0, Baseline 1." in said and "could well be chance" in said


@pytest.mark.parametrize(
    ("output", "problem"), [("out.png", "must end in .svg or .html"), ("no/x.svg", None)]
)
def test_a_name_that_no_picture_can_have_is_one_line(catalog, tmp_path, capsys, output, problem):
    code = main(["plot", str(catalog), str(tmp_path / output)])
    assert code == (2 if problem else 0)  # a folder that is missing is made
    assert (problem or "") in capsys.readouterr().err


def test_what_is_not_there_is_one_line(catalog, tmp_path, capsys):
    assert main(["export", str(tmp_path / "none.db"), str(tmp_path / "out.csv")]) == 2
    events_path(catalog).unlink()
    assert main(["export", str(catalog), str(tmp_path / "out.csv")]) == 2
    assert main(["plot", str(catalog), str(tmp_path / "out.svg")]) == 2
    assert "the app makes it when something is first shown" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists() and not (tmp_path / "out.svg").exists()
