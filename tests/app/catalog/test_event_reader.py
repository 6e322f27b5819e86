"""Events are read as they are, from files of any version, and nothing is changed by it."""

import sqlite3
from contextlib import closing

import pytest

from app.catalog.event_reader import EventReader
from app.catalog.events import BlindPick, Event, EventFile, Pick
from app.errors import CatalogError


def blind_pick(session="s", list_id="l", item="x", team="hllm", position=2, time=4.0):
    return BlindPick(
        time=time, session=session, seed="5eed", list_id=list_id, item_id=item,
        position=position, team=team,
    )  # fmt: skip


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "c.db.events.db"
    with closing(EventFile(path)) as file:
        file.add_blind_pick(blind_pick())
        file.add_pick(Pick(time=3.0, session="s", item_id="é", hllm_rank=2, baseline_rank=None))
        file.add([
            Event(time=1.0, session="s", kind="shown", model="hllm", item_ids=["a", "b"]),
            Event(time=2.0, session="s", kind="clicked", model="hllm", item_ids=["b"], rank=2),
        ])  # fmt: skip
    return path


def test_everything_is_there_oldest_first_a_row_for_each_item(path):
    rows = [
        (r.time, r.kind, r.place, r.item_id, r.rank, r.hllm_rank, r.baseline_rank, r.team)
        for r in EventReader(path).rows()
    ]
    assert rows == [
        (1.0, "shown", "hllm", "a", 1, None, None, None),
        (1.0, "shown", "hllm", "b", 2, None, None, None),
        (2.0, "clicked", "hllm", "b", 2, None, None, None),
        (3.0, "scored", "browse", "é", None, 2, None, None),
        (4.0, "blind", "blind", "x", 2, None, None, "hllm"),
    ]
    last = list(EventReader(path).rows())[-1]
    assert (last.session, last.list_id, last.seed) == ("s", "l", "5eed")


def test_counts_of_blind_tests(path):
    with closing(EventFile(path)) as file:
        for number, team in enumerate(("hllm", "baseline", "hllm")):
            file.add_blind_pick(blind_pick("t", f"l{number}", team=team, position=1))
    counts = EventReader(path).blind_counts()
    assert counts.visits == 2
    assert counts.by_position == {("hllm", 1): 2, ("baseline", 1): 1, ("hllm", 2): 1}
    assert (counts.wins("hllm"), counts.wins("baseline")) == (3, 1)
    with closing(EventFile(path)) as file:
        assert EventReader(path).pick_sums(10) == file.pick_sums(10)


def test_a_file_of_an_earlier_version_is_read_and_stays_as_it_is(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE picks")
        connection.execute("DROP TABLE blind_picks")
        connection.commit()
    before, reader = path.read_bytes(), EventReader(path)
    assert [row.kind for row in reader.rows()] == ["shown", "shown", "clicked"]
    assert reader.blind_counts().by_position == {} and reader.pick_sums(10) == []
    assert path.read_bytes() == before


def test_a_file_that_is_missing_or_damaged_is_one_sentence(tmp_path):
    with pytest.raises(CatalogError, match="the app makes it when something is first shown"):
        EventReader(tmp_path / "none.db").blind_counts()
    (tmp_path / "text.db").write_text("no database" * 1000, encoding="utf-8")
    with pytest.raises(CatalogError):
        list(EventReader(tmp_path / "text.db").rows())


def test_counts_of_days_and_what_is_clicked_most(path):
    day = 86_400.0
    with closing(EventFile(path)) as file:
        for item in ("c", "c", "a", "b"):
            file.add([
                Event(time=day, session="t", kind="clicked", model="hllm", item_ids=[item], rank=1)
            ])  # fmt: skip
    reader = EventReader(path)
    assert {(c.day, c.kind, c.count) for c in reader.day_counts()} == {
        ("1970-01-01", "shown", 1),
        ("1970-01-01", "clicked", 1),
        ("1970-01-01", "scored", 1),
        ("1970-01-01", "blind", 1),
        ("1970-01-02", "clicked", 4),
    }
    assert reader.most_clicked(2) == [("b", 2), ("c", 2)]
