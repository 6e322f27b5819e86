"""``Catalog``: opens the file, and asks and changes it through the modules beside this one.

app.catalog.postgres.catalog is the same over a PostgreSQL database.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

from app.catalog import imports, index, schema, search, write
from app.catalog.address import Place
from app.catalog.file import CatalogFile
from app.catalog.filters import Filters
from app.catalog.imports import FileImport, ImportMark
from app.catalog.index import Progress
from app.catalog.items import CatalogItem, storable, text_fields
from app.catalog.rows import COLUMNS, ITEM_TABLES, item_from_row, read_items
from app.catalog.search import Anchor, Page, Query
from app.catalog.sql import Store
from app.catalog.times import shown_time
from app.catalog.write import InteractionCounts, ItemCounts
from app.errors import CatalogError
from hllm.atomic import locked
from hllm.times import Timestamp

logger = logging.getLogger(__name__)

_ITEMS_PER_READ = 1_000
_INTERACTIONS_PER_READ = 20_000


class Catalog:
    """A catalogue file. Use ``Catalog.open`` or ``Catalog.create``; safe to share by threads."""

    # What another database does in its own way.
    _search: ModuleType = search
    _index: ModuleType = index

    def __init__(self, place: Place, store: Store | None = None) -> None:
        self.place = place
        self._file = store or CatalogFile(self.path)
        self.filters = Filters(self._file)

    @property
    def path(self) -> Path:
        """Its file; there is none of a catalogue in a database of another kind."""
        assert isinstance(self.place, Path)
        return self.place

    @classmethod
    def open(cls, path: Path | str) -> "Catalog":
        """Open an existing catalogue; it may be read-only.

        Raises:
            CatalogError: it is missing, corrupt, not a catalogue, or of a newer version.
        """
        path = Path(path)
        if not path.is_file():
            raise CatalogError(
                f"There is no catalogue {path}: make one with python -m app.ingest, get one by its "
                "name (python -m app.get --list), or check the name."
            )
        schema.check_kind(path)
        try:
            catalog = cls(path)
            with catalog._file.reading() as connection:
                outdated = schema.pending_migrations(connection, path)
            if outdated:
                schema.prepare(path)
            meta = catalog._meta()
        except (sqlite3.DatabaseError, OSError, KeyError) as error:
            raise CatalogError(
                f"The catalogue {path} cannot be read ({error}): it is damaged or no SQLite "
                "database, so restore it or import the data again into a new file."
            ) from error
        if meta.get("stale") == "1":
            logger.warning(
                "An import into %s did not finish: repeat it, or its last items cannot be found.",
                path,
            )
        return catalog

    @classmethod
    def create(cls, path: Path | str, name: str = "") -> "Catalog":
        """Make an empty catalogue, or open the one that is there.

        Raises:
            CatalogError: the file cannot be written, or is there and is not a catalogue.
        """
        path = Path(path)
        try:
            # Of processes that come at once, one makes it.
            with locked(path.parent):
                if not path.exists():
                    with cls.replacing(path, name or path.stem):
                        pass
        except OSError as error:
            raise CatalogError(
                f"The folder {path.parent} cannot be made ({error}): choose another place."
            ) from error
        return cls.open(path)

    @classmethod
    @contextmanager
    def replacing(cls, path: Path, name: str) -> Iterator["Catalog"]:
        """Give a new catalogue that takes the place of `path` when the block succeeds.

        Raises:
            CatalogError: it cannot be written; the old one stands.
        """
        with schema.new_database(path) as partial, cls(partial) as catalog:
            with catalog._file.writing() as db:
                write.write_meta(db, name=name)
            yield catalog

    def check(self, *, quick: bool = False) -> None:
        """Make sure that the database is not damaged.

        Args:
            quick: do not compare tables with their indexes, and leave large files alone, which
                would take long: for every start.

        Raises:
            CatalogError: it is damaged.
        """
        if quick and self.path.stat().st_size > schema.QUICK_CHECK_BYTES:
            return
        with self._file.reading() as connection:
            problem = schema.find_damage(connection, quick=quick)
        if problem:
            raise CatalogError(
                f"The catalogue {self.path} is damaged ({problem}): restore it or import the data "
                "again into a new file."
            )

    def close(self) -> None:
        """Close the writing connection; SQLite then folds its -wal file into the database."""
        self._file.close()

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        """Name for people."""
        return self._meta()["name"]

    @property
    def num_items(self) -> int:
        """Number of items, indexed or not."""
        return int(self._meta()["num_items"])

    @property
    def data_version(self) -> str:
        """16 hex digits that depend on the item texts only, and on nothing else."""
        return self._meta()["data_version"]

    @property
    def covers(self) -> str:
        """What note_covers kept, or ""."""
        return self._meta().get("covers", "")

    @property
    def is_stale(self) -> bool:
        """Whether items or interactions came in since the last reindex."""
        return self._meta().get("stale") == "1"

    def page(self, query: Query, *, cursor: str | None = None, limit: int = 48) -> Page:
        """Get the items of a query, a page at a time.

        Args:
            query: search, category and sort order.
            cursor: ``next_cursor`` of the page before, for the same query.
            limit: most items, 1 to 500.

        Raises:
            ValueError: the cursor is damaged or was made for another order, or limit or sort are
                out of range.
        """
        if not 1 <= limit <= search.MAX_LIMIT:
            raise ValueError(f"limit {limit} must be 1 to {search.MAX_LIMIT}")
        if query.sort not in search.SORTS:
            raise ValueError(f"sort {query.sort!r} must be one of {search.SORTS}")
        anchor = Anchor.decode(cursor, query.sort) if cursor else None
        with self._file.reading(together=True) as connection:
            meta = write.read_meta(connection)
            order = search.order_of(query.sort, int(meta["num_dated"]))
            tiers = self._search.match_tiers(connection, query)
            start = (0, 0)
            if anchor:
                start = (
                    anchor.tier,
                    search.place_of(connection, anchor.item_id, order),
                )
            found = self._search.find(connection, tiers, order, start=start, limit=limit)
            if anchor:
                total = anchor.total
            elif not found.has_more:
                total = len(found.rows)
            else:
                total = self._search.count(connection, tiers, query, int(meta["num_indexed"]))
            by_id = read_items(connection, "i.id", [item for item, _ in found.rows])
        items = [by_id[item] for item, _ in found.rows]
        next_cursor = None
        if found.has_more:
            last_tier = found.rows[-1][1]
            next_cursor = Anchor(
                sort=query.sort, tier=last_tier, item_id=items[-1].item_id, total=total
            ).encode()
        return Page(items, next_cursor, total)

    def get(self, item_ids: Iterable[str]) -> dict[str, CatalogItem]:
        """Items by id, in the order asked for; ids that do not exist are left out."""
        asked = dict.fromkeys(str(item_id) for item_id in item_ids)
        wanted = [item_id for item_id in asked if storable(item_id) == item_id]
        with self._file.reading() as connection:
            rows = read_items(connection, "i.item_id", wanted)
        found = {item.item_id: item for item in rows.values()}
        return {item_id: found[item_id] for item_id in wanted if item_id in found}

    def popular(self, limit: int) -> list[CatalogItem]:
        """The most popular items, best first."""
        return self.page(Query(), limit=limit).items

    def categories(self, limit: int = 200) -> list[tuple[str, int]]:
        """Names of categories and their numbers of items, largest first."""
        with self._file.reading() as connection:
            return connection.execute(
                "SELECT name, num_items FROM categories WHERE num_items > 0 "
                "ORDER BY num_items DESC, name LIMIT ?",
                [limit],
            ).fetchall()

    def iter_items(self) -> Iterator[CatalogItem]:
        """All items in the order in which they were added, in constant memory."""
        last = 0
        while True:
            with self._file.reading() as connection:
                rows = connection.execute(
                    f"SELECT {COLUMNS} FROM {ITEM_TABLES} WHERE i.id > ? ORDER BY i.id LIMIT ?",
                    [last, _ITEMS_PER_READ],
                ).fetchall()
            if not rows:
                return
            yield from map(item_from_row, rows)
            last = rows[-1][0]

    def iter_texts(self) -> Iterator[tuple[str, dict[str, str]]]:
        """(item_id, texts by field name) of all items, in the order they were added.

        Fields: title, creator, categories, tags, year, description and every scalar of extra;
        empty ones are left out. This is what models read, in training and in serving.
        """
        for item in self.iter_items():
            yield item.item_id, text_fields(item)

    def iter_interactions(self) -> Iterator[tuple[str, str, Timestamp]]:
        """(user_id, item_id, timestamp) of all interactions, in the order of their files."""
        last = 0
        digits = int(self._meta()["time_digits"])
        while True:
            with self._file.reading() as connection:
                rows = connection.execute(
                    "SELECT n.id, u.user_id, i.item_id, n.timestamp FROM interactions n "
                    'JOIN users u ON u.id = n."user" JOIN items i ON i.id = n.item '
                    "WHERE n.id > ? ORDER BY n.id LIMIT ?",
                    [last, _INTERACTIONS_PER_READ],
                ).fetchall()
            if not rows:
                return
            for _, user_id, item_id, timestamp in rows:
                yield user_id, item_id, shown_time(timestamp, digits)
            last = rows[-1][0]

    def count_interactions(self) -> tuple[int, int]:
        """Numbers of interactions and of users."""
        with self._file.reading() as connection:
            interactions = connection.execute("SELECT count(*) FROM interactions").fetchone()[0]
            return interactions, connection.execute(
                'SELECT count(DISTINCT "user") FROM interactions'
            ).fetchone()[0]

    def add_items(
        self,
        items: Iterable[CatalogItem],
        *,
        reindex: bool = True,
        mark: ImportMark | None = None,
    ) -> ItemCounts:
        """Add or replace items, in one transaction.

        Args:
            items: bounded and made storable here; of equal ids the last one wins.
            reindex: make them findable at once. An importer leaves that to the end.
            mark: how far the file that they come from is imported with them.

        Raises:
            ValueError: an item_id is empty or too long.
            CatalogError: the catalogue cannot be written.
        """
        with self._file.writing() as db:
            counts = write.upsert_items(db, items, mark)
            if mark:
                imports.write_mark(db, mark)
            if reindex and counts.added + counts.updated:
                self._index.reindex(db)
        return counts

    def add_interactions(
        self,
        interactions: Iterable[tuple[str, str, Timestamp]],
        *,
        reindex: bool = True,
        mark: ImportMark | None = None,
    ) -> InteractionCounts:
        """Add (user_id, item_id, timestamp) rows, in one transaction; each exists once.

        Rows whose item is not in the catalogue are counted and left out. For reindex and mark see
        add_items.

        Raises:
            CatalogError: the catalogue cannot be written, or a timestamp is in another unit.
        """
        with self._file.writing() as db:
            counts = write.insert_interactions(db, interactions, mark)
            if mark:
                imports.write_mark(db, mark)
            if reindex and counts.added:
                self._index.reindex(db)
        return counts

    def importing(self) -> AbstractContextManager[None]:
        """A whole import: nothing to do for a file, of which whoever has it knows who writes it."""
        return nullcontext()

    def note_covers(self, note: str) -> None:
        """Remember the folder of the items' pictures (see app.picture_files.folder_note).

        Raises:
            CatalogError: the catalogue cannot be written.
        """
        with self._file.writing() as db:
            write.write_meta(db, covers=note)

    def keep_k_core(self, k: int) -> int:
        """Remove interactions of items and users with fewer than k (see write.k_core).

        Returns:
            Number of interactions removed; reindex afterwards.
        """
        with self._file.writing() as db:
            return write.k_core(db, k)

    def keep_used_items(self) -> int:
        """Remove items without interactions; returns how many. Reindex afterwards."""
        with self._file.writing() as db:
            return write.remove_unused_items(db)

    def begin_import(self, file: str, fingerprint: str) -> FileImport:
        """Begin to import a version of a file, or go on with it."""
        with self._file.writing() as db:
            return imports.begin(db, file, fingerprint)

    def finish_import(self, older: Sequence[int], *, replace: bool) -> tuple[int, int]:
        """Look after what only older versions of imported files have.

        Args:
            older: numbers of those versions.
            replace: remove it.

        Returns:
            Numbers of items and of interactions; reindex afterwards where they were removed.
        """
        with self._file.writing() as db:
            found = imports.left_over(db, older)
            if replace and any(found):
                imports.remove_interactions(db, older)
                write.remove_items(db, imports.items_left_over(db, older))
                write.write_meta(db, stale=1)
            imports.forget_empty(db, older)
        return found

    def reindex(self, progress: Progress | None = None) -> None:
        """Make all items findable and sort them anew, in one transaction.

        Raises:
            CatalogError: the catalogue cannot be written.
        """
        with self._file.writing() as db:
            self._index.reindex(db, progress)

    def _meta(self) -> dict[str, str]:
        with self._file.reading() as connection:
            return write.read_meta(connection)
