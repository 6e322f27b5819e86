"""One catalogue file, many readers and one writer; files and folders that cannot be written."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.catalog import Catalog, CatalogItem, Query
from app.catalog.file import CatalogFile
from app.errors import CatalogError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "catalog.db"
    with Catalog.create(path, "Test") as catalog:
        catalog.add_items([CatalogItem(item_id="a", title="Alpha"), CatalogItem(item_id="b")])
    return path


def test_threads_read_while_one_writes(tmp_path, many_items):
    catalog = Catalog.create(tmp_path / "c.db")
    catalog.add_items(many_items(60))
    failures = []

    def read():
        try:
            for _ in range(15):
                assert catalog.page(Query(search="dune")).total >= 1
                catalog.note_covers("here")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(5):
        catalog.add_items([CatalogItem(item_id=f"n{number}", title="Dune")])
    for thread in threads:
        thread.join()
    assert failures == []
    assert catalog.num_items == 65


def test_failed_write_leaves_the_catalogue_usable(tmp_path):
    catalog = Catalog.create(tmp_path / "c.db")

    def items():
        yield CatalogItem(item_id="a")
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        catalog.add_items(items())
    assert catalog.num_items == 0
    assert catalog.add_items([CatalogItem(item_id="a")]).added == 1


READ_ONLY_SCRIPT = """
import logging, os, sys
from app.catalog import Catalog, CatalogItem, Query
from app.catalog.events import EventFile, events_path
from app.errors import CatalogError
from app.event_log import EventLog
if os.getuid() == 0:  # root may write anywhere
    os.setgid(65534); os.setuid(65534)
logging.basicConfig(format="%(message)s")
catalog = Catalog.open(sys.argv[1])
assert [item.item_id for item in catalog.page(Query(search="alph")).items] == ["a"]
assert catalog.get(["b"]) and catalog.popular(1) and len(list(catalog.iter_texts())) == 2
events = EventLog(EventFile(events_path(catalog.path)))
for _ in range(3):
    events.add("s", "clicked", "browse", ["a"])
events.flush()
try:
    catalog.add_items([CatalogItem(item_id="c")])
except CatalogError as error:
    assert "cannot be written" in str(error), error
else:
    sys.exit("a read-only catalogue was written")
"""


@pytest.mark.parametrize("clean_close", [True, False])
def test_read_only_file_in_read_only_folder_browses_and_skips_events(tmp_path, path, clean_close):
    if not clean_close:
        assert Catalog.open(path).num_items == 2  # leaves -shm and an empty -wal behind
    folder = path.parent
    # An unprivileged reader must be able to reach pytest's private folders. They stay open: closing
    # them again would shut out the same test in another worker.
    for parent in folder.parents[:3]:
        if not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY_SCRIPT, str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Events are not recorded") == 1


def test_a_reader_cannot_write(path):
    with (
        pytest.raises(CatalogError, match=r"cannot be read .*readonly"),
        CatalogFile(path).reading() as connection,
    ):
        connection.execute("DELETE FROM items")
    with Catalog.open(path) as catalog:
        assert catalog.num_items == 2


def test_writing_is_all_or_nothing(path):
    file = CatalogFile(path)
    with pytest.raises(KeyError), file.writing() as db:
        db.execute("DELETE FROM item_search")
        raise KeyError
    with file.reading() as connection:
        assert connection.execute("SELECT count(*) FROM item_search").fetchone() == (2,)
    file.close()


def test_another_writer_is_waited_for_only_so_long(path):
    file = CatalogFile(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogError, match="no other program is writing"):
        with file.writing(patience_ms=1):
            pass
    other.execute("COMMIT")
    with file.writing(patience_ms=1) as db:
        assert db.execute("SELECT count(*) FROM items").fetchone() == (2,)
    other.close()
    file.close()
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # -wal is folded in


def test_a_file_that_is_no_database_is_noticed_at_once(tmp_path):
    (tmp_path / "x.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        CatalogFile(tmp_path / "x.db")
