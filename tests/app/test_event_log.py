"""Events are written in the background, within limits, for so long, and deleted on request."""

import sqlite3
import threading
import time
from contextlib import closing

import pytest

from app import event_limits, event_log
from app.catalog.events import BlindPick, Event, EventFile
from app.errors import AwayError, CatalogError
from app.event_limits import ALL_BURST, MAX_TABS, TAB_BURST
from app.event_log import MAX_WAITING, RETRY_S, EventLog
from tests.waiting import wait_until


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.db.events.db"


def sessions_in(path):
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT session FROM events ORDER BY id").fetchall()
    return [session for (session,) in rows]


def add(log, session="s", count=1):
    for _ in range(count):
        log.add(session, "clicked", "browse", ["a"])


def test_a_tab_that_floods_is_cut_off_and_no_other(path, clock, caplog):
    log = EventLog(EventFile(path), clock=clock)
    add(log, "flood", TAB_BURST + 500)
    add(log, "visitor", 3)
    clock.now += 5
    add(log, "flood", 500)
    log.flush()
    found = sessions_in(path)
    assert found.count("visitor") == 3
    assert found.count("flood") == TAB_BURST + 10
    assert caplog.text.count("left out") == 1


def test_made_up_tabs_have_a_limit_together_and_cost_no_memory(path, clock, monkeypatch):
    written = []
    monkeypatch.setattr(event_log, "MAX_WAITING", 10 * ALL_BURST)
    monkeypatch.setattr(EventFile, "add", lambda self, events: written.extend(events))
    log = EventLog(EventFile(path), clock=clock)
    for number in range(2 * MAX_TABS):
        add(log, f"{number:08d}")
    log.flush()
    assert len(written) == ALL_BURST
    assert len(log._limits._tabs) == MAX_TABS


def test_off_writes_nothing_and_deletes_nothing_but_on_request(path):
    with closing(EventFile(path)) as file:
        old = Event(time=1.0, session="old", kind="shown", model="", item_ids=[])
        file.add([old, old])
    log = EventLog(EventFile(path), days=0)
    add(log)
    log.flush()
    assert sessions_in(path) == ["old", "old"]
    assert log.forget(["old"]) == 2
    assert sessions_in(path) == []


def test_what_is_older_than_the_days_is_deleted_at_start(path):
    now = time.time()
    ages = {"fresh": 60.0, "nearly": 2.9 * 86_400, "old": 3.1 * 86_400}
    with closing(EventFile(path)) as file:
        file.add(
            Event(time=now - age, session=session, kind="shown", model="", item_ids=[])
            for session, age in ages.items()
        )
    log = EventLog(EventFile(path), days=3)
    log.forget([])  # waits for what came before
    assert sessions_in(path) == ["fresh", "nearly"]


def test_a_visitor_is_forgotten_with_what_still_waits(path):
    log = EventLog(EventFile(path))
    add(log, "mine", 20)
    add(log, "yours", 2)
    assert log.forget(["mine"]) == 20
    assert sessions_in(path) == ["yours", "yours"]


def test_a_failing_disk_is_said_once_and_recording_goes_on_afterwards(
    path, clock, caplog, monkeypatch
):
    log = EventLog(EventFile(path), clock=clock)
    tries = []

    def fail(self, events):
        tries.append(events)
        raise CatalogError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(EventFile, "add", fail)
        add(log, "lost", 5)
        log.flush()
    assert len(tries) == 1
    add(log, "lost")
    log.flush()
    clock.now += RETRY_S + 1
    add(log, "kept")
    log.flush()
    assert sessions_in(path) == ["kept"]
    assert [record.message for record in caplog.records] == [
        "Events are not recorded: The disk is full. It is tried again every minute.",
        "Events are recorded again; 6 were left out.",
    ]


def test_what_cannot_be_written_is_said_before_anything_is_lost(path, caplog):
    path.write_bytes(b"no database" * 1000)
    log = EventLog(EventFile(path))
    wait_until(lambda: not log.is_recording)
    add(log)
    log.flush()
    [said] = [record.message for record in caplog.records]
    assert said.startswith("Events are not recorded: ") and str(path) in said
    assert EventLog(EventFile(path), days=0).is_recording  # nothing is to be recorded


def test_recording_goes_on_though_nobody_comes(path, monkeypatch, caplog):
    monkeypatch.setattr(event_log, "RETRY_S", 0.05)
    path.write_bytes(b"no database" * 1000)
    log = EventLog(EventFile(path))
    wait_until(lambda: not log.is_recording)
    path.unlink()
    wait_until(lambda: log.is_recording)
    assert "Events are recorded again" in caplog.text


def test_what_cannot_be_deleted_is_said(path, monkeypatch):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError, match="cannot be written"):
        EventLog(EventFile(path), days=0).forget(["s"])


def test_events_never_hold_anybody_up(path, monkeypatch, clock):
    """More than may wait are added while the very first one is still being written."""
    gate = threading.Event()
    written = []

    def blocked(self, events):
        gate.wait(10)
        written.extend(events)

    monkeypatch.setattr(EventFile, "add", blocked)
    monkeypatch.setattr(event_limits, "TAB_BURST", 10 * MAX_WAITING)
    log = EventLog(EventFile(path), clock=clock)
    add(log, count=MAX_WAITING + 200)
    assert written == []
    gate.set()
    log.flush()
    assert MAX_WAITING <= len(written) <= MAX_WAITING + 1  # the others were dropped


def test_an_event_that_fails_otherwise_does_not_stop_the_next(path, monkeypatch):
    calls = []

    def fail(self, events):
        calls.extend(events)
        raise OSError("strange")

    monkeypatch.setattr(EventFile, "add", fail)
    log = EventLog(EventFile(path))
    add(log, count=2)
    log.flush()
    assert len(calls) == 2


def test_picks_are_written_within_the_same_limits_and_read_behind_what_waits(path, clock):
    log = EventLog(EventFile(path), clock=clock)
    for _ in range(TAB_BURST + 50):
        log.add_pick("s", "a", 2, None)
    [sums] = log.pick_sums(10)
    assert (sums.picks, sums.closer, sums.hits) == (TAB_BURST, (TAB_BURST, 0), (TAB_BURST, 0))


def test_off_keeps_no_picks(path):
    log = EventLog(EventFile(path), days=0)
    log.add_pick("s", "a", 2, 3)
    assert log.pick_sums(10) == [] and not path.exists()


def test_blind_picks_have_the_limits_of_events(path, clock):
    log = EventLog(EventFile(path), clock=clock)
    for number in range(TAB_BURST + 50):
        pick = BlindPick(
            time=1e12, session="s", seed="5eed", list_id=str(number), item_id="a", position=1,
            team="hllm",
        )  # fmt: skip
        log.add_blind_pick(pick)
    log.flush()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM blind_picks").fetchone() == (TAB_BURST,)
    clock.now += 60
    log.withdraw("s", "0", "a")
    assert log.forget(["s"]) == TAB_BURST - 1


def test_who_tells_hears_whether_it_is_stored(path, clock, monkeypatch):
    log = EventLog(EventFile(path), clock=clock)
    told = [log.add("s", "clicked", "browse", ["a"], key="k" * 32) for _ in range(2)]
    assert all(receipt.is_stored() for receipt in told)
    assert sessions_in(path) == ["s"], "the same key is the same event"
    assert log.add_pick("s", "a", 1, 2).is_stored() and log.withdraw("s", "l", "a").is_stored()
    for _ in range(TAB_BURST):
        last = log.add("s", "clicked", "browse", ["a"])
    assert not last.is_stored()  # too many: later
    assert EventLog(EventFile(path), days=0).add("s", "clicked", "browse", ["a"]).is_stored()


def away_until(back, written):
    """Stands for a database that cannot be reached until an event is set."""

    def add(self, events):
        if not back.is_set():
            raise AwayError("The events cannot be written.")
        written.extend(event.session for event in events)

    return add


def test_while_a_database_is_away_what_is_shown_waits_and_what_is_done_is_told_again(
    path, clock, caplog, monkeypatch
):
    back, written = threading.Event(), []
    monkeypatch.setattr(event_log, "AWAY_S", 0.01)
    monkeypatch.setattr(event_log, "STORE_PATIENCE_S", 0.05)
    monkeypatch.setattr(EventFile, "add", away_until(back, written))
    log = EventLog(EventFile(path), clock=clock)
    log.add("shown", "shown", "hllm", ["a"])
    wait_until(lambda: "cannot be written" in caplog.text)
    assert not log.add("told", "clicked", "hllm", ["a"]).is_stored()
    log.add("shown too", "shown", "hllm", ["a"])
    for ask in (lambda: log.forget(["s"]), lambda: log.pick_sums(10)):
        with pytest.raises(CatalogError, match="try again later"):
            ask()
    back.set()
    log.flush()
    assert written == ["shown", "shown too"]
    assert log.add("told", "clicked", "hllm", ["a"]).is_stored()
    assert [record.message for record in caplog.records] == [
        "The events cannot be written. What is shown waits in memory until it can, at most "
        f"{MAX_WAITING} events.",
        "Events are written again.",
    ]


def test_what_waits_for_a_database_is_bounded_and_what_is_left_out_is_counted(
    path, clock, caplog, monkeypatch
):
    back, written = threading.Event(), []
    monkeypatch.setattr(event_log, "AWAY_S", 0.01)
    monkeypatch.setattr(EventFile, "add", away_until(back, written))
    log = EventLog(EventFile(path), clock=clock)
    for number in range(MAX_WAITING + 50):
        log.add(str(number), "shown", "hllm", ["a"])
    back.set()
    log.flush()
    assert MAX_WAITING <= len(written) <= MAX_WAITING + 1
    assert written == [str(number) for number in range(len(written))]
    assert f"{MAX_WAITING + 50 - len(written)} were left out" in caplog.text


def test_the_end_of_the_app_waits_for_no_database(path, clock, caplog, monkeypatch):
    monkeypatch.setattr(EventFile, "add", away_until(threading.Event(), []))
    log = EventLog(EventFile(path), clock=clock)
    log.add("s", "shown", "hllm", ["a"])
    wait_until(lambda: "cannot be written" in caplog.text)
    log.close()
    assert "not recorded" in caplog.text
