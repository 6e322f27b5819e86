"""Events of a database are read as those of a file are, whichever engine keeps them."""

from contextlib import closing

import pytest

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog.address import Address
from app.catalog.events import BlindPick, Event, Pick, events_path
from app.catalog.opening import open_event_reader, open_events
from app.catalog.postgres.event_reader import PostgresEventReader
from app.errors import CatalogError

DAY = 86_400.0


def fill(events):
    with closing(events):
        events.add(
            [
                Event(time=DAY, session="s", kind="shown", model="hllm", item_ids=["a", "é", "b"]),
                Event(time=DAY, session="s", kind="clicked", model="hllm", item_ids=["é"], rank=2),
                Event(time=5 * DAY, session="t", kind="clicked", model="browse", item_ids=["a"]),
                Event(time=5 * DAY, session="t", kind="clicked", model="browse", item_ids=["B"]),
            ]
        )  # fmt: skip
        for session, ranks in (("s", (2, 68)), ("t", (None, 4)), ("s", (5, 5))):
            events.add_pick(
                Pick(time=2 * DAY, session=session, item_id="a", hllm_rank=ranks[0],
                     baseline_rank=ranks[1])
            )  # fmt: skip
        for position, team in ((1, "hllm"), (2, "baseline")):
            events.add_blind_pick(
                BlindPick(time=3 * DAY, session="s", seed="5eed", list_id=str(position),
                          item_id="a", position=position, team=team)
            )  # fmt: skip


def test_both_engines_tell_the_same(database, tmp_path):
    places = [database, tmp_path / "c.db"]
    for place in places:
        fill(open_events(place))
    database_reader, file_reader = (open_event_reader(place) for place in places)
    rows, of_file = (sorted(reader.rows(), key=str) for reader in (database_reader, file_reader))
    assert rows == of_file and len(rows) == 11
    for ask in (
        lambda reader: reader.pick_sums(10),
        lambda reader: reader.blind_counts(),
        lambda reader: sorted(map(str, reader.day_counts())),
        lambda reader: reader.most_clicked(2),
    ):
        assert ask(database_reader) == ask(file_reader)
    times = [row.time for row in database_reader.rows()]
    assert times == sorted(times)
    assert events_path(tmp_path / "c.db").exists() and database_reader.exists()


def test_before_the_first_event_there_is_nothing(database):
    reader = PostgresEventReader(database)
    assert not reader.exists() and list(reader.rows()) == []
    assert (reader.pick_sums(10), reader.day_counts(), reader.most_clicked(3)) == ([], [], [])
    assert reader.blind_counts().visits == 0


def test_what_cannot_be_reached_is_said():
    with pytest.raises(CatalogError, match="cannot be read"):
        PostgresEventReader(Address("postgresql://tester@127.0.0.1:1/x")).blind_counts()
