"""Fields become an item: missing values, originals, columns of any name."""

import json

from app.catalog import Catalog
from app.ingest.__main__ import main
from app.ingest.rejects import read_rejects, rejects_path
from tests.app.ingest.imports import histories


def test_a_huge_description_is_cut_with_a_note(tmp_path):
    path = tmp_path / "meta.json"
    huge = {"asin": "a", "title": "T", "description": ["<b>word</b> " * 450_000]}
    path.write_text(json.dumps(huge) + "\n")
    catalog = tmp_path / "c.db"
    assert main(["amazon2018", "--catalog", str(catalog), "--items", str(path)]) == 0
    item = Catalog.open(catalog).get(["a"])["a"]
    assert len(item.description) <= 20_000 and item.extra[""]["cut"]["description"] > 20_000


def test_missing_values(run, stored, tmp_path):
    items = (
        "item_id,title,creator,description,year,price,genres,country\n"
        "NA,None,nan,NULL,\\N,nan,None,\\N\nnan,\\N,Ann,N/A day,NaT,,x|\\N,NA\n\\N,x,,,,,,\n"
    )
    pairs = "item_id,user_id,timestamp\nNA,null,1\nNA,\\N,2\nNA,u,\\N\nNA,u,NaN\nnan,u,5\n"
    assert run("table", items=("i.csv", items), interactions=("p.csv", pairs))[0] == 0
    found = stored()
    assert list(found) == ["NA", "nan"]
    first, second = found["NA"], found["nan"]
    assert (first.title, first.creator, first.description) == ("None", "", "")
    assert (first.year, first.price, first.categories, first.extra) == (None, None, (), {})
    assert (second.title, second.creator, second.description) == ("", "Ann", "N/A day")
    assert second.extra == {"country": "NA"}
    assert histories(tmp_path) == [("null", "NA", 1), ("u", "nan", 5)]
    reasons = [entry["line"] for entry in read_rejects(rejects_path(tmp_path / "c.db"))]
    assert reasons == [4, 3, 4, 5]


def test_columns_may_be_called_as_they_like(run, stored):
    columns = "item_id,name,title,cut,original,extra,description"
    rows = f"G1,Ring,<i>T</i>,Ideal,yes,e,{'very ' * 5000}\nG2,<b>Pin</b>,,Good,no,e,<b>bold</b>\n"
    code, _ = run("table", "--map", "title=name", items=("gems.csv", f"{columns}\n{rows}"))
    assert code == 0
    one, two = stored()["G1"], stored()["G2"]
    assert (one.extra["cut"], one.extra["original"], one.extra["title"]) == ("Ideal", "yes", "T")
    assert one.extra[""]["cut"] == {"description": 24_999}
    assert one.extra[""]["original"]["title"] == "<i>T</i>"
    assert (two.extra["cut"], two.extra["original"]) == ("Good", "no")
    assert two.extra[""]["original"] == {"title": "<b>Pin</b>", "description": "<b>bold</b>"}
