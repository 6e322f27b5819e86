"""The import command as a whole: its help, its errors, and real data."""

import gzip
from pathlib import Path

import pytest

from app.catalog import Catalog
from app.catalog.opening import open_catalog
from app.ingest.__main__ import main
from tests.app.ingest.imports import import_pair

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hllm", "--items", "missing.csv"], "There is no file missing.csv: check the name"),
        (["hllm"], "Nothing to import: name files with --items"),
        (["hllm", "--items", "empty.csv"], "empty.csv: cannot be read as csv: it is empty"),
        (["hllm", "--items", "header.csv"], "header.csv holds no records"),
        (["hllm", "--items", "double.csv"], "double.csv, line 1: column 'title' is there twice"),
        (["hllm", "--items", "nocolumn.csv"], "say which with table --map item_id=COLUMN"),
        (["hllm", "--items", "."], "cannot be read"),
        (["amazon2018", "--items", "header.csv"], "none of the first 1 records can be used"),
        (["amazon2014", "--items", "cut.json.gz"], "cut.json.gz is damaged after line"),
        (["table", "--items", "header.csv", "--map", "colour=title"], "FIELD is one of item_id"),
        (["table", "--items", "header.csv", "--map", "title=nope"], "there is no column 'nope'"),
        (["table", "--items", "header.csv", "--map", "titel=x"], "(did you mean title?)"),
        (["table", "--items", "header.csv", "--map", "title"], "'title' is not understood: write"),
        (["table", "--items", "bad.parquet"], "bad.parquet cannot be read"),
        (["pixelrec", "--items", "header.csv", "--covers", "gone"], "There is no folder gone"),
        (["hllm", "--interactions", "pair.csv"], "import the items first"),
        (["hllm", "--interactions", "four.csv"], "import it as a table"),
        (["hllm", "--items", "header.csv", "--k-core", "-1"], "--k-core -1 must be 0"),
    ],
)
def test_errors_are_one_sentence_with_the_remedy(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("empty.csv").touch()
    Path("header.csv").write_text("item_id,title\n")
    Path("double.csv").write_text("item_id,title,title\n1,2,3\n")
    Path("nocolumn.csv").write_text("name,age\nx,3\n")
    Path("pair.csv").write_text("item_id,user_id,timestamp\na,b,1\n")
    Path("four.csv").write_text("a,b,c,d\n1,2,3,4\n")
    Path("bad.parquet").write_bytes(b"PAR1 but not really PAR1")
    Path("cut.json.gz").write_bytes(gzip.compress(repr({"asin": "x"}).encode() * 9000)[:60])
    before = sorted(tmp_path.iterdir())
    assert main([arguments[0], "--catalog", "c.db", *arguments[1:]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and "Traceback" not in error
    assert sorted(tmp_path.iterdir()) == before, "an error must leave nothing behind"


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for word in ("amazon2014", "amazon2018", "amazon2023", "hllm", "pixelrec", "table", "export"):
        assert word in out
    assert "examples:" in out and "--dry-run" in out


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"real data are not in {SHARED}")
def test_real_office_data(tmp_path, capsys):
    folder = SHARED / "amazon_office_2018"
    files = {
        "items": folder / "items.csv.gz",
        "interactions": folder / "interactions.csv.gz",
        "catalog": tmp_path / "office.db",
    }
    assert import_pair(files) == 0
    catalog = Catalog.open(files["catalog"])
    assert catalog.num_items == 3_459 and catalog.count_interactions() == (22_447, 3_231)
    item = catalog.get(["0"])["0"]
    assert item.description.startswith("HP 74 Black & 75 Tri-color") and "{" not in item.description
    assert "<!-- .headerM" in item.extra[""]["original"]["description"]
    assert not any(item.description.startswith(("['", '["')) for item in catalog.iter_items())


def test_a_database_takes_an_import_and_gives_it_back(
    files, database, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)  # where rejects would go
    options = ["--items", str(files["items"]), "--interactions", str(files["interactions"])]
    for place in (str(files["catalog"]), database.url):
        for _ in range(2):  # the second time there is nothing new
            assert main(["table", "--catalog", place, *options]) == 0
        assert "50 unchanged" in capsys.readouterr().out
        output = tmp_path / f"out{len(place)}"
        assert main(["export", "--catalog", place, "--output", str(output)]) == 0
        assert main(["check", "--catalog", place]) == 0
    first, second = sorted(tmp_path.glob("out*"))
    for name in ("items.csv", "interactions.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    with open_catalog(database) as other, other.importing():
        assert main(["table", "--catalog", database.url, *options]) != 0
    assert "Another program is writing" in capsys.readouterr().err
