"""Reads a file of events for analysis, also while the app writes it, and changes nothing in it."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from app.catalog.events import PICK_SUMS, PickSums
from app.catalog.schema import check_kind, connect_readonly
from app.catalog.sql import Connection
from app.errors import CatalogError

# By table, in the order of EventRow. What was shown has a row for each item.
ROWS = {
    "events": """
SELECT time, session, kind, model, value AS item_id,
    CASE kind WHEN 'shown' THEN key + 1 ELSE rank END,
    NULL, NULL, NULL, NULL, NULL
FROM events, json_each(item_ids)""",
    "picks": """
SELECT time, session, 'scored', 'browse', item_id, NULL, hllm_rank, baseline_rank,
    NULL, NULL, NULL
FROM picks""",
    "blind_picks": """
SELECT time, session, 'blind', 'blind', item_id, position, NULL, NULL, team, list, seed
FROM blind_picks""",
}

DAY = "date(time, 'unixepoch')"
CLICKED_ITEMS = "SELECT value FROM events, json_each(item_ids) WHERE kind = 'clicked'"
# By table, what the kind of a row is.
_KINDS = {"events": "kind", "picks": "'scored'", "blind_picks": "'blind'"}


@dataclass(frozen=True)
class EventRow:
    """One item that was shown, clicked, or picked.

    Attributes:
        time: seconds since 1970.
        session: random id of a browser tab.
        kind: shown, clicked, scored (a pick of the scoreboard) or blind (of a blind test).
        place: key of the column, or where else on the page.
        item_id: of the item.
        rank: 1-based place in the list; None where there was none.
        hllm_rank, baseline_rank: of what was scored; None: far behind.
        team: key of the column that drafted what was picked blind.
        list_id, seed: of the list of a blind test, and of the test.
    """

    time: float
    session: str
    kind: str
    place: str
    item_id: str
    rank: int | None
    hllm_rank: int | None
    baseline_rank: int | None
    team: str | None
    list_id: str | None
    seed: str | None

    def cells(self) -> tuple[object, ...]:
        """As a row of a table, in the order of COLUMNS; the time as text, in UTC."""
        time = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return (time, *astuple(self)[1:])


COLUMNS = [field.name for field in fields(EventRow)]


@dataclass(frozen=True)
class DayCount:
    """How many events of a kind there were on a day, "2026-11-27" in UTC; a list shown is one."""

    day: str
    kind: str
    count: int


@dataclass(frozen=True)
class BlindCounts:
    """The picks of all blind tests.

    Attributes:
        visits: of how many tabs.
        by_position: number of picks by (team, 1-based position).
    """

    visits: int
    by_position: dict[tuple[str, int], int]

    def wins(self, team: str) -> int:
        """How many picks a team has drafted."""
        return sum(count for (key, _), count in self.by_position.items() if key == team)


class EventReader:
    """A file of events, read only; files of earlier versions lack some tables.

    app.catalog.postgres.event_reader is the same over a PostgreSQL database.
    Every method raises CatalogError if the file cannot be read.
    """

    # What another database says in another way.
    _rows: Mapping[str, str] = ROWS
    _day = DAY
    _clicked_items = CLICKED_ITEMS

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether there may be any events."""
        return self.path.exists()

    def rows(self) -> Iterator[EventRow]:
        """Everything that is kept, the oldest first."""
        with self._reading() as (connection, tables):
            parts = [query for table, query in self._rows.items() if table in tables]
            if parts:
                query = f"{' UNION ALL '.join(parts)} ORDER BY time"
                for row in connection.execute(query):
                    yield EventRow(*row)

    def pick_sums(self, hit_rank: int) -> list[PickSums]:
        """As EventFile.pick_sums."""
        with self._reading() as (connection, tables):
            found = connection.execute(PICK_SUMS, [hit_rank, hit_rank]) if "picks" in tables else []
            return [PickSums(row[0], row[1:3], row[3:5], row[5:7]) for row in found]

    def blind_counts(self) -> BlindCounts:
        """Counts of the picks of all blind tests."""
        with self._reading() as (connection, tables):
            if "blind_picks" not in tables:
                return BlindCounts(0, {})
            query = "SELECT COUNT(DISTINCT session) FROM blind_picks"
            (visits,) = connection.execute(query).fetchone()
            query = "SELECT team, position, COUNT(*) FROM blind_picks GROUP BY team, position"
            return BlindCounts(visits, {(t, p): n for t, p, n in connection.execute(query)})

    def day_counts(self) -> list[DayCount]:
        """Counts of all days, in no order."""
        with self._reading() as (connection, tables):
            return [
                DayCount(*row)
                for table, kind in _KINDS.items()
                if table in tables
                for row in connection.execute(
                    f"SELECT {self._day} AS day, {kind} AS what, COUNT(*) "
                    f"FROM {table} GROUP BY day, what"
                )
            ]

    def most_clicked(self, most: int) -> list[tuple[str, int]]:
        """The items that were clicked most, as (item_id, clicks)."""
        with self._reading() as (connection, tables):
            if "events" not in tables:
                return []
            query = (
                f"SELECT value, COUNT(*) AS clicks FROM ({self._clicked_items}) clicked "
                "GROUP BY value ORDER BY clicks DESC, value LIMIT ?"
            )
            return connection.execute(query, [most]).fetchall()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, set[str]]]:
        """A connection, and the names of the tables that there are."""
        if not self.exists():
            raise CatalogError(
                f"There is no file {self.path}: the app makes it when something is first shown, "
                "unless --events-days is 0."
            )
        check_kind(self.path)
        try:
            with closing(connect_readonly(self.path)) as connection:
                names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                yield connection, {name for (name,) in names}
        except sqlite3.DatabaseError as error:
            raise CatalogError(
                f"The events file {self.path} cannot be read ({error}): check permissions, or take "
                "a backup if it is damaged."
            ) from error
