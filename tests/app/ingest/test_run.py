"""An import that is repeated, changed or stopped ends with the same catalogue."""

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
from tests.app.ingest.imports import content, import_pair

ROOT = Path(__file__).resolve().parents[3]


def test_repeating_changes_nothing(files, capsys):
    assert import_pair(files) == 0
    first = content(files["catalog"])
    capsys.readouterr()
    assert import_pair(files) == 0
    assert content(files["catalog"]) == first
    assert "0 added, 0 updated, 50 unchanged" in capsys.readouterr().out


def test_a_changed_file_updates_what_changed(files, capsys):
    assert import_pair(files) == 0
    text = files["items"].read_text().replace("Title 3,", "Renamed,")
    files["items"].write_text(text + "i50,Added,\n")
    capsys.readouterr()
    assert import_pair(files) == 0
    assert "1 added, 1 updated, 49 unchanged" in capsys.readouterr().out
    assert Catalog.open(files["catalog"]).page(Query(search="renamed")).total == 1


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
    assert import_pair(whole) == 0
    with monkeypatch.context() as patch:
        stop_after(patch, method, calls)
        assert import_pair(files) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert import_pair(files) == 0
    assert content(files["catalog"]) == content(whole["catalog"])
    assert len(list(read_rejects(rejects_path(files["catalog"])))) == 1
    assert not Catalog.open(files["catalog"]).is_stale


def test_going_on_skips_what_is_done(files, monkeypatch, capsys):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 10, "interactions": 40})
    with monkeypatch.context() as patch:
        stop_after(patch, "add_items", 2)
        assert import_pair(files) == 130
    capsys.readouterr()
    assert import_pair(files) == 0
    assert "items: 30 added, 0 updated, 0 unchanged" in capsys.readouterr().out


@pytest.mark.slow
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
    assert import_pair(files) == 0
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
        assert import_pair(files, "--k-core", "2") == 0
        catalog = Catalog.open(files["catalog"])
        assert catalog.count_interactions() == (12, 2) and catalog.num_items == 50
    assert "2 removed by --k-core" in capsys.readouterr().out


def test_items_without_interactions_are_left_out(files, capsys, caplog):
    """After the k-core, as HLLM's candidates are the items of the interactions."""
    rows = [f"i{n % 3},u{n % 2},{n}" for n in range(12)] + ["i9,u0,50", "i0,u9,51"]
    for _ in range(2):
        assert import_pair(files, "--k-core", "2", "--used-items", rows=rows) == 0
        with Catalog.open(files["catalog"]) as catalog:
            assert sorted(item.item_id for item in catalog.iter_items()) == ["i0", "i1", "i2"]
            assert catalog.num_items == 3 and catalog.count_interactions() == (12, 2)
            assert [item.item_id for item in catalog.page(Query(), limit=9).items]
    assert "47 items without interactions left out" in capsys.readouterr().out
    only_items = ["hllm", "--catalog", str(files["catalog"]), "--items", str(files["items"])]
    assert main([*only_items, "--used-items"]) == 2
    assert "give it with --interactions" in caplog.text
