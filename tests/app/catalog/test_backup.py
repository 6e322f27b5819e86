"""A backup is one whole state of a catalogue that is in use; what is in its way is one sentence."""

import sqlite3
from contextlib import closing

import pytest

from app.catalog import Catalog, CatalogItem, backup
from app.catalog.events import Event, EventFile, events_path
from app.errors import CatalogError
from tests.faults import outcomes_of


@pytest.fixture
def path(tmp_path):
    with Catalog.create(tmp_path / "c.db", "Films") as catalog:
        catalog.add_items(CatalogItem(item_id=f"i{n}", title="Dune" * 200) for n in range(300))
    events = EventFile(events_path(tmp_path / "c.db"))
    events.add([Event(time=1.0, session="s" * 8, kind="clicked", model="m", item_ids=["i1"])])
    events.close()
    return tmp_path / "c.db"


def test_catalogue_and_events_are_copied_and_an_older_copy_replaced(path, tmp_path):
    target = tmp_path / "kept" / "copy.db"
    files = [target, events_path(target)]
    assert backup.back_up(path, target) == files
    assert sorted(target.parent.iterdir()) == sorted(files)
    with Catalog.open(path) as catalog:
        catalog.add_items([CatalogItem(item_id="new", title="New")])
    backup.back_up(path, target)
    with Catalog.open(target) as copy:
        assert (copy.num_items, copy.name) == (301, "Films")
    with closing(sqlite3.connect(files[1])) as events:
        assert events.execute("SELECT item_ids FROM events").fetchall() == [('["i1"]',)]


def test_the_copy_is_one_state_whatever_is_written_meanwhile(path, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 5)
    told = []
    with Catalog.open(path) as catalog:

        def write(done, total):
            told.append((done, total))
            if len(told) < 4:
                catalog.add_items([CatalogItem(item_id=f"new{len(told)}", title="New")])

        backup.back_up(path, tmp_path / "copy.db", write)
        assert catalog.num_items == 303
    with Catalog.open(tmp_path / "copy.db") as copy:
        assert copy.num_items == 300
    dones = [done for done, total in told if total == told[0][1]]
    assert dones == sorted(dones) and dones[-1] == told[0][1]


def test_a_damaged_catalogue_does_not_replace_its_copy(path, tmp_path):
    target = tmp_path / "copy.db"
    backup.back_up(path, target)
    kept = target.read_bytes()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    with pytest.raises(CatalogError, match="older copy is still there"):
        backup.back_up(path, target)
    assert target.read_bytes() == kept


def test_nothing_but_a_copy_is_replaced(path, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    (tmp_path / "link.db").symlink_to(path)
    for target, words in [
        (other, "not a"),
        (tmp_path, "a folder"),
        (tmp_path / "link.db", "itself"),
    ]:
        with pytest.raises(CatalogError, match=words):
            backup.back_up(path, target)
    assert other.read_text() == "mine"


FULL = """
from app.catalog import Catalog, CatalogItem
from app.catalog.__main__ import main
def before(folder):
    with Catalog.create(folder / "c.db") as catalog:
        work(folder)
        catalog.add_items(CatalogItem(item_id=f"i{n}", title="t" * 1000) for n in range(50))
def work(folder):
    return main(["backup", str(folder / "c.db"), str(folder / "copy.db")])
def after(folder, code):
    with Catalog.open(folder / "copy.db") as copy:
        assert copy.num_items in (0, 50)
    assert work(folder) == 0
    with Catalog.open(folder / "copy.db") as copy:
        assert copy.num_items == 50
    assert not list(folder.glob(".*.partial*"))
"""


@pytest.mark.parametrize("full", [False, True])
def test_a_fault_at_any_write_leaves_the_old_copy_or_the_new(tmp_path, full):
    outcomes = outcomes_of(FULL, tmp_path, full=full, stride=11)
    assert outcomes and set(outcomes) == ({2} if full else {77})
