"""The command reads while the app writes, and changes nothing."""

import argparse
from contextlib import closing

from app.catalog import Catalog
from app.catalog.events import Event, EventFile, events_path
from app.events.command import run_export


def test_events_are_exported_while_the_app_has_the_file_open(tmp_path, capsys):
    Catalog.create(tmp_path / "c.db").close()
    with closing(EventFile(events_path(tmp_path / "c.db"))) as file:
        file.add([Event(time=1.0, session="s", kind="shown", model="hllm", item_ids=["a"])])
        arguments = {"catalog": tmp_path / "c.db", "output": tmp_path / "o.csv"}
        assert run_export(argparse.Namespace(**arguments, spreadsheet=False)) == 0
        file.add([Event(time=2.0, session="s", kind="shown", model="hllm", item_ids=["b"])])
        assert run_export(argparse.Namespace(**arguments, spreadsheet=False)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path / 'o.csv'}: {words}" for words in ("1 row: 1 shown", "2 rows: 2 shown")
    ]
