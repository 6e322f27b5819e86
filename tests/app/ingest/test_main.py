"""The import command: preview, rejects, repeating, interruption, errors, real data."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.catalog import Catalog, Query
from app.ingest.__main__ import main
from app.ingest.rejects import read_rejects, rejects_path

ROOT = Path(__file__).resolve().parents[3]
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture
def files(tmp_path):
    items = tmp_path / "items.csv"
    rows = [f"i{n},Title {n},Text {n}" for n in range(50)]
    items.write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    interactions = tmp_path / "interactions.csv"
    rows = [f"i{n % 50},u{n % 7},{n}" for n in range(300)]
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")
    return {"items": items, "interactions": interactions, "catalog": tmp_path / "c.db"}


def run(files, *more):
    arguments = ["hllm", "--catalog", files["catalog"], "--items", files["items"]]
    arguments += ["--interactions", files["interactions"], *more]
    return main([str(argument) for argument in arguments])


def content(path):
    """Everything that an import decides, without internal ids of later runs."""
    catalog = Catalog.open(path)
    return (
        list(catalog.iter_items()),
        sorted(catalog.iter_interactions()),
        catalog.data_version,
        [item.item_id for item in catalog.page(Query(search="title"), limit=500).items],
    )


def test_says_what_it_found_before_writing(files, capsys):
    assert run(files) == 0
    out = capsys.readouterr().out
    found, _, done = out.partition("items.csv: 50 items in")
    assert "items.csv: 50 items\n" in found and "interactions.csv: 300 interactions" in found
    assert "item_id 100%, title 100%" in found
    assert "title: Title 0" in found and "user_id: u0" in found
    assert "50 added, 0 updated" in done and "300 added, 0 already there" in done


def test_dry_run_writes_nothing(files, capsys):
    before = sorted(files["items"].parent.iterdir())
    assert run(files, "--dry-run") == 0
    assert sorted(files["items"].parent.iterdir()) == before
    assert "Dry run: nothing was written" in capsys.readouterr().out


def test_estimate_of_rows(files, capsys):
    rows = [f"i{n},Title {n},Text {n}" for n in range(100_000)]
    files["items"].write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    assert run(files, "--dry-run") == 0
    estimate = capsys.readouterr().out.split("items.csv: about ")[1].split(" items")[0]
    assert 90_000 < int(estimate.replace(",", "")) < 110_000


def test_repeating_changes_nothing(files, capsys):
    assert run(files) == 0
    first = content(files["catalog"])
    capsys.readouterr()
    assert run(files) == 0
    assert content(files["catalog"]) == first
    assert "0 added, 0 updated, 50 unchanged" in capsys.readouterr().out


def test_a_changed_file_updates_what_changed(files, capsys):
    assert run(files) == 0
    text = files["items"].read_text().replace("Title 3,", "Renamed,")
    files["items"].write_text(text + "i50,Added,\n")
    capsys.readouterr()
    assert run(files) == 0
    assert "1 added, 1 updated, 49 unchanged" in capsys.readouterr().out
    assert Catalog.open(files["catalog"]).page(Query(search="renamed")).total == 1


BAD_ITEMS = """item_id,title,description
i0,Good,one
,No id,two
i1,Too,many,columns
i2,"Quoted
over lines",three
i3
i4,Good,four
"""


def test_rejects_are_kept_with_line_and_reason_and_only_once(files):
    files["items"].write_text(BAD_ITEMS)
    files["interactions"].write_text(
        "item_id,user_id,timestamp\ni0,u,1\ni0,,2\ni0,u,later\ni2,u,3\ngone,u,4\n"
    )
    for _ in range(2):
        assert run(files) == 0
        rejects = list(read_rejects(rejects_path(files["catalog"])))
        assert [
            (Path(entry["file"]).name, entry["line"], entry["reason"], entry["raw"])
            for entry in rejects
        ] == [
            ("items.csv", 3, "item_id is empty", ",No id,two"),
            ("items.csv", 4, "has 4 columns where the header has 3", "i1,Too,many,columns"),
            ("items.csv", 7, "has 1 columns where the header has 3", "i3"),
            ("interactions.csv", 3, "user_id is empty", "i0,,2"),
            (
                "interactions.csv",
                4,
                "timestamp 'later' is neither a number nor an ISO date",
                "i0,u,later",
            ),
        ]
    catalog = Catalog.open(files["catalog"])
    assert list(catalog.get(["i0", "i2", "i4"])) == ["i0", "i2", "i4"]
    assert list(catalog.iter_interactions()) == [("u", "i0", 1), ("u", "i2", 3)]


def test_mended_records_leave_the_rejects(files):
    files["items"].write_text(BAD_ITEMS)
    assert run(files) == 0
    files["items"].write_text("item_id,title,description\ni0,Good,one\n")
    assert run(files) == 0
    assert not rejects_path(files["catalog"]).exists()


def test_json_rejects(tmp_path, capsys):
    lines = ['{"asin": "a", "title": "Good"}', '{"asin": ', "[1]", "", '{"title": "no id"}']
    lines += ['{"asin": {"x": 1}}', '{"asin": "b", "title": "\\ud800 \\u0000 lone"}', "[" * 100_000]
    path = tmp_path / "meta.json"
    path.write_bytes("\n".join(lines).encode() + b'\n{"asin": "c", "title": "\xff\xfe"}\n')
    catalog = tmp_path / "c.db"
    assert main(["amazon2018", "--catalog", str(catalog), "--items", str(path)]) == 0
    assert [entry["line"] for entry in read_rejects(rejects_path(catalog))] == [2, 3, 5, 6, 8, 9]
    assert [item.item_id for item in Catalog.open(catalog).iter_items()] == ["a", "b"]
    assert "6 records could not be read" in capsys.readouterr().out


def test_a_huge_description_is_cut_with_a_note(tmp_path):
    path = tmp_path / "meta.json"
    huge = {"asin": "a", "title": "T", "description": ["<b>word</b> " * 450_000]}
    path.write_text(json.dumps(huge) + "\n")
    catalog = tmp_path / "c.db"
    assert main(["amazon2018", "--catalog", str(catalog), "--items", str(path)]) == 0
    item = Catalog.open(catalog).get(["a"])["a"]
    assert len(item.description) <= 20_000 and item.extra[""]["cut"]["description"] > 20_000


class Stopped(KeyboardInterrupt):
    """Ctrl-C at a chosen moment."""


def stop_after(monkeypatch, method, calls):
    original = getattr(Catalog, method)
    count = 0

    def wrapped(*args, **kwargs):
        nonlocal count
        count += 1
        if count > calls:
            raise Stopped
        return original(*args, **kwargs)

    monkeypatch.setattr(Catalog, method, wrapped)


@pytest.mark.parametrize(
    ("method", "calls"),
    [("add_items", 0), ("add_items", 3), ("add_interactions", 2), ("reindex", 0)],
)
def test_ctrl_c_then_repeat_gives_the_same_catalogue(files, monkeypatch, capsys, method, calls):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 7, "interactions": 40})
    files["items"].write_text(files["items"].read_text() + "bad line\n")
    whole = files | {"catalog": files["catalog"].with_name("whole.db")}
    assert run(whole) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, method, calls)
        assert run(files) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert run(files) == 0
    assert content(files["catalog"]) == content(whole["catalog"])
    assert len(list(read_rejects(rejects_path(files["catalog"])))) == 1
    assert not Catalog.open(files["catalog"]).is_stale


def test_going_on_skips_what_is_done(files, monkeypatch, capsys):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 10, "interactions": 40})
    with monkeypatch.context() as patch:
        stop_after(patch, "add_items", 2)
        assert run(files) == 130
    capsys.readouterr()
    assert run(files) == 0
    assert "items: 30 added, 0 updated, 0 unchanged" in capsys.readouterr().out


def test_kill_in_mid_import_leaves_a_valid_database_that_a_repeat_completes(files):
    rows = [f"i{n},Title {n},{'long text ' * 30}" for n in range(30_000)]
    files["items"].write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    command = [sys.executable, "-m", "app.ingest", "hllm", "--catalog", str(files["catalog"])]
    command += ["--items", str(files["items"])]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while _num_rows(files["catalog"]) < 2_000 and time.monotonic() < deadline:
            assert process.poll() is None, "the import ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    connection = sqlite3.connect(files["catalog"])
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert 0 < _num_rows(files["catalog"]) < 30_000
    connection.close()
    assert run(files) == 0
    catalog = Catalog.open(files["catalog"])
    assert catalog.num_items == _num_rows(files["catalog"]) == 30_000
    assert catalog.page(Query(search="long")).total is None
    assert catalog.page(Query(search="29999")).total == 1


def _num_rows(path):
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        return connection.execute("SELECT count(*) FROM items").fetchone()[0]
    except sqlite3.Error:
        return 0


def test_k_core_and_repeating_it(files, capsys):
    rows = ["item_id,user_id,timestamp"]
    rows += [f"i{n % 3},u{n % 2},{n}" for n in range(12)] + ["i9,u0,50", "i0,u9,51"]
    files["interactions"].write_text("\n".join(rows) + "\n")
    for _ in range(2):
        assert run(files, "--k-core", "2") == 0
        catalog = Catalog.open(files["catalog"])
        assert catalog.count_interactions() == (12, 2) and catalog.num_items == 50
    assert "2 removed by --k-core" in capsys.readouterr().out


def test_unknown_items_are_counted_and_come_in_later(files, capsys):
    lines = files["items"].read_text().splitlines()
    files["items"].write_text("\n".join(lines[:26]) + "\n")
    assert run(files) == 0
    assert "150 left out because their item is not in the catalogue" in capsys.readouterr().out
    files["items"].write_text("\n".join(lines) + "\n")
    assert run(files) == 0
    assert Catalog.open(files["catalog"]).count_interactions() == (300, 7)


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


def test_a_file_cut_off_later_keeps_what_was_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 100, "interactions": 100})
    lines = [json.dumps({"asin": f"a{n}", "title": os.urandom(40).hex()}) for n in range(5_000)]
    packed = gzip.compress("\n".join(lines).encode())
    path, catalog = tmp_path / "meta.json.gz", tmp_path / "c.db"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    arguments = ["amazon2018", "--catalog", str(catalog), "--items", str(path)]
    assert main(arguments) == 2
    assert "is damaged after line" in capsys.readouterr().err
    assert Catalog.open(catalog).num_items >= 3_000
    path.write_bytes(packed)
    assert main(arguments) == 0
    assert Catalog.open(catalog).num_items == 5_000


def test_export_of_nothing_and_to_nowhere(tmp_path, files, capsys):
    Catalog.create(files["catalog"])
    export = ["export", "--catalog", str(files["catalog"]), "--output"]
    assert main([*export, str(tmp_path / "out")]) == 2
    assert "has no items: import some first" in capsys.readouterr().err
    assert run(files) == 0
    assert main([*export, str(files["items"])]) == 2
    assert "choose another --output" in capsys.readouterr().err


def test_not_a_catalogue(files, capsys):
    files["catalog"].write_text("something else")
    assert run(files) == 2
    assert "is not a catalogue" in capsys.readouterr().err
    assert files["catalog"].read_text() == "something else"


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
    assert run(files) == 0
    catalog = Catalog.open(files["catalog"])
    assert catalog.num_items == 3_459 and catalog.count_interactions() == (22_447, 3_231)
    item = catalog.get(["0"])["0"]
    assert item.description.startswith("HP 74 Black & 75 Tri-color") and "{" not in item.description
    assert "<!-- .headerM" in item.extra[""]["original"]["description"]
    assert not any(item.description.startswith(("['", '["')) for item in catalog.iter_items())
