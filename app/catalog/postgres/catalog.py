"""``Catalog`` over a PostgreSQL database, which several replicas of the app may read and write."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg

from app.catalog.address import Address
from app.catalog.catalog import Catalog
from app.catalog.items import CatalogItem
from app.catalog.postgres import index, search
from app.catalog.postgres.schema import check_version, has_catalog, make_tables
from app.catalog.postgres.server import CATALOG_SCHEMA, Server, connect, in_one_line
from app.catalog.rows import COLUMNS, ITEM_TABLES, item_from_row
from app.catalog.times import shown_time
from app.errors import AwayError, CatalogError
from hllm.times import Timestamp

MAX_REMEMBERED = 20_000  # items: 40 MB, with descriptions of a page each
_ROWS_PER_READ = 5_000

logger = logging.getLogger(__name__)


class PostgresCatalog(Catalog):
    """The catalogue of a database. Use ``open`` or ``create``; safe to share by threads.

    While the server cannot be reached, items that were asked for before are still known: an answer
    of models that are in memory still has its titles.
    """

    _search = search
    _index = index

    def __init__(self, address: Address) -> None:
        self._server = Server(address)
        super().__init__(address, self._server)
        self._remembered = _Remembered()

    @classmethod
    def open(cls, place: Address) -> "PostgresCatalog":  # type: ignore[override]
        """Open the catalogue of a database.

        Raises:
            CatalogError: it cannot be reached, holds none, or one of another version.
        """
        with _told(place), connect(place, CATALOG_SCHEMA) as connection:
            if not has_catalog(connection):
                raise CatalogError(
                    f"There is no catalogue in {place} yet: fill it with  python -m app.catalog "
                    "copy CATALOG ADDRESS  or import data into it with  python -m app.ingest."
                )
        catalog = cls(place)
        try:
            meta = catalog._meta()
            check_version(place, meta)
        except BaseException:
            catalog.close()
            raise
        if meta.get("stale") == "1":
            logger.warning(
                "An import into %s did not finish: repeat it, or its last items cannot be found.",
                place,
            )
        return catalog

    @classmethod
    def create(cls, place: Address, name: str = "") -> "PostgresCatalog":  # type: ignore[override]
        """Make an empty catalogue, or open the one that is there.

        Raises:
            CatalogError: the database cannot be reached or written.
        """
        with _told(place), connect(place, CATALOG_SCHEMA) as connection:
            if has_catalog(connection):
                return cls.open(place)
        server = Server(place)
        try:
            # Of programs that come at once, one makes it.
            with server.writing() as session:
                if not has_catalog(session.connection):
                    session.execute(f"CREATE SCHEMA IF NOT EXISTS {CATALOG_SCHEMA}")
                    make_tables(session, name or place.name)
        finally:
            server.close()
        return cls.open(place)

    def check(self, *, quick: bool = False) -> None:
        """Make sure that every item has what a page needs of it.

        PostgreSQL looks after its own files; amcheck looks into them.

        Args:
            quick: only that the catalogue answers.

        Raises:
            CatalogError: it does not, or its index is not that of its items.
        """
        with self._server.reading() as session:
            session.execute("SELECT 1 FROM meta").fetchone()
            if quick:
                return
            found = session.execute(
                "SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM item_keys), "
                "(SELECT count(*) FROM item_search), (SELECT count(*) FROM browse)"
            ).fetchone()
        wanted = self.num_items
        if set(found[:3]) != {wanted} or (found[3] != wanted and not self.is_stale):
            raise CatalogError(
                f"The catalogue {self.place} is damaged: of its {wanted:,} items there are "
                f"{', '.join(f'{count:,}' for count in found)} in its tables. Copy or import the "
                "data again."
            )

    def importing(self) -> AbstractContextManager[None]:
        """Keep every other program from writing it: two imports at once would mix."""
        return self._server.importing()

    def get(self, item_ids: Iterable[str]) -> dict[str, CatalogItem]:
        """As Catalog.get; items that are remembered while the server cannot be reached."""
        wanted = list(dict.fromkeys(str(item_id) for item_id in item_ids))
        try:
            found = super().get(wanted)
        except AwayError:
            known = self._remembered.find(wanted)
            if known is None:
                raise
            return known
        self._remembered.keep(found)
        return found

    def iter_items(self) -> Iterator[CatalogItem]:
        """All items in the order in which they were added, of one state of the catalogue."""
        query = f"SELECT {COLUMNS} FROM {ITEM_TABLES} ORDER BY i.id"
        for row in self._stream(query):
            yield item_from_row(row)

    def iter_interactions(self) -> Iterator[tuple[str, str, Timestamp]]:
        """As Catalog.iter_interactions, of one state of the catalogue."""
        digits = int(self._meta()["time_digits"])
        query = (
            "SELECT u.user_id, i.item_id, n.timestamp FROM interactions n "
            'JOIN users u ON u.id = n."user" JOIN items i ON i.id = n.item ORDER BY n.id'
        )
        for user_id, item_id, timestamp in self._stream(query):
            yield user_id, item_id, shown_time(timestamp, digits)

    def _stream(self, query: str) -> Iterator[tuple]:
        """Rows of a query in constant memory; not from the pool, for it may take long."""
        with _told(self.place), connect(self._server.address, CATALOG_SCHEMA) as connection:
            connection.read_only = True
            with connection.transaction(), connection.cursor(name="rows") as cursor:
                cursor.itersize = _ROWS_PER_READ
                yield from cursor.execute(query.encode())


class _Remembered:
    """The items that were asked for last; a bounded number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: OrderedDict[str, CatalogItem] = OrderedDict()

    def keep(self, items: dict[str, CatalogItem]) -> None:
        with self._lock:
            for item_id, item in items.items():
                self._items[item_id] = item
                self._items.move_to_end(item_id)
            while len(self._items) > MAX_REMEMBERED:
                self._items.popitem(last=False)

    def find(self, item_ids: list[str]) -> dict[str, CatalogItem] | None:
        """The items; None if one is not known here, which need not mean that there is none."""
        with self._lock:
            if any(item_id not in self._items for item_id in item_ids):
                return None
            return {item_id: self._items[item_id] for item_id in item_ids}


@contextmanager
def _told(place: object) -> Iterator[None]:
    """What the server says, for whoever starts a program; visitors read no such message.

    Raises:
        CatalogError: it cannot be reached.
    """
    try:
        yield
    except psycopg.Error as error:
        raise CatalogError(
            f"The catalogue {place} cannot be reached ({in_one_line(error)}): check the address, "
            "and the password in PGPASSWORD or in the file of PGPASSFILE."
        ) from error
