"""The events of replicas in one table: each once, bounded, deleted when somebody asks."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog.address import Address  # noqa: E402
from app.catalog.events import BlindPick, Event, Pick  # noqa: E402
from app.catalog.postgres.events import PostgresEvents  # noqa: E402
from app.catalog.postgres.server import EVENTS_SCHEMA, connect  # noqa: E402
from app.errors import AwayError, CatalogError  # noqa: E402

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def events(database):
    with closing(PostgresEvents(database)) as events:
        yield events


def event(session="s", time=1.0, ids=("a",), key=None):
    return Event(time=time, session=session, kind="shown", model="hllm", item_ids=ids, key=key)


def rows_of(database, columns="session", table="events"):
    with connect(database, EVENTS_SCHEMA) as connection:
        query = f"SELECT {columns} FROM {table} ORDER BY id"
        return connection.execute(query.encode()).fetchall()


def test_an_event_is_written_with_all_that_it_says(events, database):
    events.add([Event(time=2.5, session="s", kind="clicked", model="hllm", item_ids=["é"], rank=3)])
    [row] = rows_of(database, "time, session, kind, model, item_ids, rank, event_key")
    assert row == (2.5, "s", "clicked", "hllm", json.dumps(["é"]), 3, None)


def test_what_is_told_again_is_there_once(events, database):
    events.add([event(key="k"), event(key="k"), event(key="l"), event("t", key="k")])
    events.add([event(ids=("other",), key="k")])
    assert rows_of(database, "session, event_key") == [("s", "k"), ("s", "l"), ("t", "k")]
    for _ in range(2):
        events.add_pick(
            Pick(time=1.0, session="s", item_id="a", hllm_rank=1, baseline_rank=None, key="k")
        )
    [sums] = events.pick_sums(10)
    assert (sums.picks, sums.closer, sums.hits) == (1, (1, 0), (1, 0))
    assert sums.reciprocal_ranks == (1.0, 0.0)


def test_a_blind_list_has_one_pick_of_a_visitor_which_can_be_taken_back(events, database):
    for item in ("a", "b"):
        events.add_blind_pick(
            BlindPick(time=1.0, session="s", seed="5eed", list_id="l", item_id=item, position=1,
                      team="hllm")
        )  # fmt: skip
    assert rows_of(database, "item_id", "blind_picks") == [("b",)]
    events.withdraw("s", "l", "a")
    assert rows_of(database, "item_id", "blind_picks") == [("b",)]
    events.withdraw("s", "l", "b")
    assert rows_of(database, "item_id", "blind_picks") == []


def test_only_one_visitor_is_forgotten_and_what_is_old_goes(events, database):
    events.add([event("mine"), event("yours", time=9.0), event("mine", time=9.0)])
    events.add_pick(Pick(time=9.0, session="mine", item_id="a", hllm_rank=1, baseline_rank=2))
    assert events.forget(["mine", "nobody"]) == 3
    assert rows_of(database) == [("yours",)]
    events.add([event("old")])
    assert events.forget_before(5.0) == 1
    assert rows_of(database) == [("yours",)]


def test_a_row_has_bounds_whatever_a_replica_sends(events, database):
    for odd in (event("s" * 65), event(key="k" * 65), event(ids=["x" * 400_000])):
        with pytest.raises(CatalogError, match="cannot be written"):
            events.add([odd])
    assert rows_of(database) == []


def test_a_lost_connection_is_told_apart_and_made_anew(events, database, away):
    events.add([event("before")])
    with connect(database, EVENTS_SCHEMA) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(AwayError):
        events.add([event("cut", key="k")])
    events.add([event("cut", key="k")])
    away.stop()
    for _ in range(2):
        with pytest.raises(AwayError, match="cannot be written"):
            events.add([event("later", key="l")])
    away.start()
    events.add([event("later", key="l")])
    assert rows_of(database) == [("before",), ("cut",), ("later",)]


WRITER = """
import sys
from app.catalog.address import Address
from app.catalog.events import Event
from app.catalog.postgres.events import PostgresEvents
events = PostgresEvents(Address(sys.argv[1]))
sys.stdin.readline()  # all begin at once
for number in range(20):
    events.add([Event(time=number, session=sys.argv[2], kind="shown", model="", item_ids=[],
                      key=str(number))])
"""


def test_replicas_that_start_at_once_lose_none(database):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, database.url, str(n)], cwd=ROOT, stdin=subprocess.PIPE
        )
        for n in range(3)
    ]
    for writer in writers:
        writer.stdin.write(b"go\n")
        writer.stdin.flush()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    rows = sorted(rows_of(database, "session, event_key"))
    assert rows == sorted((str(n), str(number)) for n in range(3) for number in range(20))


def test_tables_of_another_user_are_said_with_what_to_grant(postgres, database, monkeypatch):
    """And with just that, everything works."""
    reader = f"visitor{database.name}"
    with connect(database, "public") as owner:
        owner.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'of a server for tests'".encode())
        other = Address(database.url.replace("tester@", f"{reader}@"))
        with closing(PostgresEvents(other)) as theirs:
            with pytest.raises(CatalogError, match="CREATE ON DATABASE"):
                theirs.check()
            with closing(PostgresEvents(database)) as events:
                events.check()
            for grant in (
                f"USAGE ON SCHEMA {EVENTS_SCHEMA}",
                f"SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {EVENTS_SCHEMA}",
            ):
                with pytest.raises(CatalogError, match=f"permission denied.*GRANT {grant}"):
                    theirs.check()
                owner.execute(f"GRANT {grant} TO {reader}".encode())
            theirs.check()
            theirs.add([event()])
            theirs.add_blind_pick(
                BlindPick(time=1.0, session="s", seed="5eed", list_id="l", item_id="a",
                          position=1, team="hllm")
            )  # fmt: skip
            assert theirs.forget(["s"]) == 2
