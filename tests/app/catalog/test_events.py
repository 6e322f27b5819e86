"""The file of events: carried over once, shared by processes, deleted for good."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.catalog import Catalog
from app.catalog.events import BlindPick, Event, EventFile, Pick, events_path
from app.errors import CatalogError

ROOT = Path(__file__).resolve().parents[3]


def event(session="s", time=1.0, ids=("a",)):
    return Event(time=time, session=session, kind="shown", model="hllm", item_ids=ids)


def sessions_in(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT session FROM events ORDER BY id").fetchall()
    return [session for (session,) in rows]


@pytest.fixture
def file(tmp_path):
    with closing(EventFile(tmp_path / "c.db.events.db")) as file:
        yield file


@pytest.fixture
def old(tmp_path):
    """A catalogue in which an earlier version kept events."""
    Catalog.create(tmp_path / "c.db").close()
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        connection.executemany(
            "INSERT INTO events (time, session, kind, model, item_ids, rank) "
            "VALUES (?, ?, 'clicked', 'hllm', '[\"a\"]', 2)",
            [(1.0, "one"), (2.0, "two"), (3.0, "one")],
        )
        connection.commit()
    return tmp_path / "c.db"


def test_an_event_is_written_with_all_that_it_says(file):
    file.add([Event(time=2.5, session="s", kind="clicked", model="hllm", item_ids=["é"], rank=3)])
    with closing(sqlite3.connect(file.path)) as connection:
        (row,) = connection.execute("SELECT * FROM events").fetchall()
    assert row[1:5] == (2.5, "s", "clicked", "hllm")
    assert json.loads(row[5]) == ["é"] and row[6] == 3


def test_only_one_visitor_is_forgotten_and_nothing_of_it_is_left_on_the_disk(file):
    file.add([event("mine-1234567890"), event("yours"), event("mine-1234567890", time=9.0)])
    assert file.forget(["mine-1234567890", "nobody"]) == 2
    assert sessions_in(file.path) == ["yours"]
    for path in file.path.parent.iterdir():
        assert b"mine-1234567890" not in path.read_bytes(), path


def test_what_is_older_goes(file):
    file.add([event("old", time=10.0), event("new", time=20.0)])
    assert file.forget_before(15.0) == 1
    assert sessions_in(file.path) == ["new"]


def test_nothing_is_made_before_the_first_event(file):
    assert (file.forget(["s"]), file.forget_before(5.0)) == (0, 0)
    assert not file.path.exists()


def test_events_of_an_earlier_version_move_once(old):
    for expected in (3, 0):
        with closing(EventFile(events_path(old))) as file:
            assert file.take_over(old) == expected
    assert sessions_in(events_path(old)) == ["one", "two", "one"]
    assert sessions_in(old) == []


def test_a_kill_between_the_two_files_neither_loses_nor_doubles(old, monkeypatch):
    with closing(EventFile(events_path(old))) as file, monkeypatch.context() as patch:
        patch.setattr(file, "_checkpoint", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            file.take_over(old)
    assert sessions_in(old) == ["one", "two", "one"]
    with closing(EventFile(events_path(old))) as file:
        file.take_over(old)
    assert sessions_in(events_path(old)) == ["one", "two", "one"]


def test_a_damaged_file_is_named_and_stays_as_it_is(tmp_path):
    path = tmp_path / "c.db.events.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError, match=r"events file .*c\.db\.events\.db cannot be written"):
        EventFile(path).add([event()])
    assert path.read_bytes() == b"no database" * 1000


def test_a_file_that_could_not_be_written_can_be_later(file):
    file.path.mkdir()
    with pytest.raises(CatalogError, match="cannot be written"):
        file.add([event()])
    file.path.rmdir()
    file.add([event("later")])
    assert sessions_in(file.path) == ["later"]


WRITER = """
import sys
from pathlib import Path
from app.catalog.events import Event, EventFile
file = EventFile(Path(sys.argv[1]))
sys.stdin.readline()  # all begin at once
for number in range(20):
    file.add([Event(time=number, session=sys.argv[2], kind="shown", model="", item_ids=[])])
"""


def test_processes_that_start_at_once_lose_none(tmp_path):
    path = tmp_path / "c.db.events.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, path, str(n)], cwd=ROOT, stdin=subprocess.PIPE
        )
        for n in range(3)
    ]
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert sorted(sessions_in(path)) == sorted(str(n) for n in range(3) for _ in range(20))


def pick(session, hllm_rank, baseline_rank, time=1.0):
    return Pick(
        time=time, session=session, item_id="a", hllm_rank=hllm_rank, baseline_rank=baseline_rank
    )


def test_sums_of_picks_are_those_of_each_session(file):
    assert file.pick_sums(10) == [] and not file.path.exists()
    for found in (pick("one", 2, 68), pick("two", 11, 4), pick("one", 5, 5), pick("one", None, 10)):
        file.add_pick(found)
    one, two = file.pick_sums(10)
    assert (one.picks, one.closer, one.hits) == (3, (1, 1), (2, 2))
    assert one.reciprocal_ranks == pytest.approx((1 / 2 + 1 / 5, 1 / 68 + 1 / 5 + 1 / 10))
    assert (two.picks, two.closer, two.hits) == (1, (0, 1), (0, 1))
    assert file.forget(["one"]) == 3 and len(file.pick_sums(10)) == 1


def test_old_picks_go_with_old_events(file):
    file.add([event(time=1.0), event(time=5.0)])
    file.add_pick(pick("s", 1, 2, time=1.0))
    file.add_pick(pick("s", 1, 2, time=5.0))
    assert file.forget_before(3.0) == 2
    assert file.pick_sums(10)[0].picks == 1


def test_a_file_of_an_earlier_version_gets_picks(file):
    file.add([event()])
    file.close()
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("DROP TABLE picks")
        connection.commit()
    assert file.pick_sums(10) == []
    file.add_pick(pick("s", 1, None))
    assert file.pick_sums(10)[0].closer == (1, 0)


def blind_pick(session="s", list_id="l", item="a", team="hllm", time=1.0):
    return BlindPick(
        time=time, session=session, seed="5eed", list_id=list_id, item_id=item, position=1,
        team=team,
    )  # fmt: skip


def blind_picks_in(path):
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT session, list, item_id, team FROM blind_picks ORDER BY id"
        return connection.execute(query).fetchall()


def test_a_blind_list_has_one_pick_of_a_visitor_which_can_be_taken_back(file):
    for pick in (blind_pick(), blind_pick(item="b", team="baseline"), blind_pick("t")):
        file.add_blind_pick(pick)
    assert blind_picks_in(file.path) == [("s", "l", "b", "baseline"), ("t", "l", "a", "hllm")]
    file.withdraw("s", "l", "a")  # another one has taken its place
    assert len(blind_picks_in(file.path)) == 2
    file.withdraw("s", "l", "b")
    assert blind_picks_in(file.path) == [("t", "l", "a", "hllm")]


def test_blind_picks_go_with_their_visitor_and_with_time(file):
    file.add_blind_pick(blind_pick("mine-1234567890"))
    file.add_blind_pick(blind_pick("yours", time=9.0))
    file.add_blind_pick(blind_pick("old", "m", time=1.0))
    assert file.forget(["mine-1234567890"]) == 1
    assert b"mine-1234567890" not in file.path.read_bytes()
    assert file.forget_before(5.0) == 1
    assert blind_picks_in(file.path) == [("yours", "l", "a", "hllm")]


def test_a_file_of_an_earlier_version_gets_blind_picks(file):
    file.add([event()])
    file.close()
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("DROP TABLE blind_picks")
        connection.commit()
    assert file.forget(["nobody"]) == 0
    file.add_blind_pick(blind_pick())
    assert len(blind_picks_in(file.path)) == 1


def test_whether_it_can_be_written_is_known_without_making_it(tmp_path):
    with closing(EventFile(tmp_path / "e.db")) as file:
        file.check()
        assert not file.path.exists()
        file.add([])
        file.check()
    with pytest.raises(CatalogError, match="permissions"):
        EventFile(tmp_path / "missing" / "e.db").check()
