"""The catalogue database: its tables, as named migrations, and how connections to it are opened.

items           one row an item; ``extra`` is JSON
item_keys       the narrow part of it: what tells a change, and what reindex sorts by
item_search     what the full-text index holds of each item (see app.catalog.search_text)
browse          effective popularity and the item's place in every sort order: written by reindex
search_<sort>   contentless FTS5 tables whose rowid is the place in that order. A page of a search
                is the first rows of a match, so its cost does not depend on how many rows match.
vocabulary      longer words of the index: expands a prefix without reading their matches
imports         how far each file was imported, so that an interrupted import goes on
import_files    number of each version of a file; item_places: which of them an item is from
events          of earlier versions, which kept them here: see app.catalog.events
interactions    id order = order of the source files (see app.catalog.imports), timestamp in units
                of 10^-time_digits (see app.catalog.times); unique by user, item and timestamp
"""

import json
import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlite_utils import Database, Migrations

from app.catalog.items import NOTES_KEY
from app.errors import CatalogError
from hllm.atomic import atomic_path
from hllm.errors import StorageError, shortened

SORT_ORDERS = ("popularity", "title", "year", "newest")
# Prefixes up to this many characters are indexed by FTS5; longer ones go through the vocabulary.
MAX_INDEXED_PREFIX = 4

# num_items: rows; num_indexed, num_dated: items, and items with a year, at the last reindex;
# stale: "1" while items or interactions wait for a reindex; revision: times that items changed.
_COUNTERS = {"num_items": "0", "num_indexed": "0", "num_dated": "0", "stale": "0"}

# Memory for building the index (measured: 20% to 30% less time than with SQLite's 2 MiB and 1 MiB).
WRITER_CACHE_KIB = 64 * 1024
FTS_BUFFER_BYTES = 32 * 2**20
# Reading as much takes a second or so; app.ingest check reads any file, however long it takes.
QUICK_CHECK_BYTES = 256 * 2**20

_OLD_NOTES = ("original", "cut")
_ROWS_WITH_NOTES = """
SELECT id, extra FROM items WHERE id > ? AND (extra LIKE '%"original"%' OR extra LIKE '%"cut"%')
ORDER BY id LIMIT 1000
"""

MIGRATION_SET = "catalog"
_SQLITE_MAGIC = b"SQLite format 3\0"
migrations = Migrations(MIGRATION_SET)

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    item_id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    creator TEXT NOT NULL,
    year INTEGER,
    price REAL,
    image TEXT NOT NULL,
    popularity INTEGER NOT NULL,
    tags TEXT NOT NULL,
    categories TEXT NOT NULL,
    description TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE TABLE item_keys (
    item INTEGER PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE,
    row_hash INTEGER NOT NULL,
    text_hash INTEGER NOT NULL,
    title_key TEXT NOT NULL,
    year INTEGER,
    popularity INTEGER NOT NULL
);
CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    num_items INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE item_categories (
    item INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
    category INTEGER NOT NULL REFERENCES categories(id),
    PRIMARY KEY (item, category)
) WITHOUT ROWID;
CREATE TABLE users (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE);
CREATE TABLE interactions (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    item INTEGER NOT NULL REFERENCES items(id) ON DELETE CASCADE,
    timestamp INTEGER NOT NULL,
    UNIQUE (item, user, timestamp)
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    item_ids TEXT NOT NULL,
    rank INTEGER
);
CREATE INDEX events_by_session ON events (session, time);
"""

_BROWSE = """
CREATE TABLE item_search (
    item INTEGER PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE,
    tokens TEXT NOT NULL
);
CREATE TABLE browse (
    item INTEGER PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE,
    popularity INTEGER NOT NULL,
    by_popularity INTEGER NOT NULL,
    by_title INTEGER NOT NULL,
    by_year INTEGER NOT NULL,
    by_newest INTEGER NOT NULL
);
CREATE TABLE vocabulary (token TEXT PRIMARY KEY, num_items INTEGER NOT NULL) WITHOUT ROWID;
"""


@migrations(name="0001_items_interactions_events")
def _create_tables(db: Database) -> None:
    run_script(db, _TABLES)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    values = {"name": "", "created": created, "data_version": "0" * 16, **_COUNTERS}
    for key, value in values.items():
        db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", [key, value])


@migrations(name="0002_browse_and_search")
def _create_browse(db: Database) -> None:
    run_script(db, _BROWSE)
    prefixes = " ".join(str(length) for length in range(1, MAX_INDEXED_PREFIX + 1))
    for sort in SORT_ORDERS:
        db.execute(f"CREATE INDEX browse_{sort} ON browse (by_{sort})")
        # Tokens arrive folded and split by app.catalog.search_text; "ascii" only splits them at
        # blanks. detail=none keeps the index small and is why CJK is stored as pairs, not phrases.
        db.execute(
            f"CREATE VIRTUAL TABLE search_{sort} USING fts5(tokens, content='', columnsize=0, "
            f"detail=none, tokenize='ascii', prefix='{prefixes}')"
        )
    db.execute("CREATE VIRTUAL TABLE search_terms USING fts5vocab('search_popularity', 'row')")


@migrations(name="0003_imports")
def _create_imports(db: Database) -> None:
    run_script(
        db,
        """
        CREATE TABLE imports (
            file TEXT PRIMARY KEY,
            fingerprint TEXT NOT NULL,
            line INTEGER NOT NULL,
            finished INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
    )


@migrations(name="0004_filters")
def _prepare_filters(db: Database) -> None:
    run_script(
        db,
        """
        CREATE INDEX items_by_price ON items (price) WHERE price IS NOT NULL;
        INSERT INTO meta (key, value) VALUES ('revision', '0')
        """,
    )


@migrations(name="0005_places")
def _create_places(db: Database) -> None:
    run_script(
        db,
        """
        CREATE TABLE import_files (
            number INTEGER PRIMARY KEY,
            file TEXT NOT NULL,
            fingerprint TEXT NOT NULL
        );
        CREATE INDEX import_files_by_file ON import_files (file);
        CREATE TABLE item_places (
            item INTEGER PRIMARY KEY REFERENCES items(id) ON DELETE CASCADE,
            place INTEGER NOT NULL
        );
        CREATE INDEX item_places_by_place ON item_places (place);
        INSERT INTO meta (key, value) VALUES ('time_digits', '0')
        """,
    )
    _move_notes(db)


def _move_notes(db: Database) -> None:
    """Notes of the program were under names that a column of the data may have, too."""
    last = 0
    while rows := db.execute(_ROWS_WITH_NOTES, [last]).fetchall():
        for row_id, text in rows:
            extra = json.loads(text)
            notes = {
                name: extra.pop(name) for name in _OLD_NOTES if isinstance(extra.get(name), dict)
            }
            if notes:
                extra[NOTES_KEY] = notes
                new = json.dumps(extra, ensure_ascii=False)
                db.execute("UPDATE items SET extra = ? WHERE id = ?", [new, row_id])
        last = rows[-1][0]


def run_script(db: Database, script: str) -> None:
    """Run several statements inside the caller's transaction (executescript would commit it)."""
    for statement in script.split(";"):
        if statement.strip():
            db.execute(statement)


def connect_writable(path: Path) -> Database:
    """Open a connection for writing, shared between threads behind the caller's lock."""
    connection = sqlite3.connect(str(path), timeout=20, check_same_thread=False)
    # Plugins that a user has installed for the sqlite-utils command are none of our business.
    db = Database(connection, execute_plugins=False)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    return db


def connect_readonly(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """Open a connection that cannot write.

    Args:
        path: the database file.
        immutable: for files on read-only media, where SQLite cannot create its -shm file.
    """
    uri = path.absolute().as_uri() + ("?mode=ro&immutable=1" if immutable else "?mode=ro")
    return sqlite3.connect(uri, uri=True, timeout=10)


def prepare(path: Path) -> None:
    """Create the tables of a new catalogue, or bring one of an older version up to date.

    Raises:
        CatalogError: the file cannot be written or is not a catalogue.
    """
    try:
        db = connect_writable(path)
        try:
            db.enable_wal()
            migrations.apply(db)
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise CatalogError(
            f"The catalogue {path} cannot be created or updated ({error}): "
            "check that it is a catalogue and that its folder is writable."
        ) from error


@contextmanager
def new_database(path: Path) -> Iterator[Path]:
    """Give a temporary path for a catalogue that becomes `path` when the block succeeds.

    Whatever is interrupted leaves the old catalogue, or none. In the temporary file all tables are
    there; the block closes every connection to it.

    Raises:
        CatalogError: it cannot be written.
    """
    try:
        with atomic_path(path) as partial:
            try:
                prepare(partial)
                yield partial
            except CatalogError as error:  # says it of the temporary file
                raise CatalogError(str(error).replace(str(partial), str(path))) from error
            _check_complete(partial)
            # What belongs to an older file of this name would be replayed into the new one.
            for ending in ("-wal", "-shm", "-journal"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
    except StorageError:
        raise
    except (OSError, sqlite3.DatabaseError) as error:
        raise CatalogError(
            f"The catalogue {path} cannot be made ({error}): check permissions and free space, or "
            "choose another place."
        ) from error


def _check_complete(path: Path) -> None:
    """Make sure that all of a new database is in its file: a full disk fails a close unseen."""
    with closing(connect_writable(path).conn) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        found = find_damage(connection)
    if found:
        raise sqlite3.DatabaseError(found)


def find_damage(connection: sqlite3.Connection, *, quick: bool = False) -> str:
    """What is wrong with a database, "" if nothing is; quick: without a look at the indexes."""
    check = "quick_check" if quick else "integrity_check"
    found: str = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    return "" if found == "ok" else found.splitlines()[-1]


def check_kind(path: Path) -> None:
    """Make sure that a file is a SQLite database, or empty, which for SQLite is one.

    Raises:
        CatalogError: it is something else, a table of items for example.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise CatalogError(f"The catalogue {path} cannot be read ({error}).") from error
    if start not in (_SQLITE_MAGIC, b""):
        raise CatalogError(
            f"{path} is not a catalogue, and no SQLite file at all: import data into a catalogue "
            "with python -m app.ingest, or restore the file if it was one."
        )


def _foreign(path: Path, tables: Collection[str]) -> str:
    what = f"a database of another program (tables: {shortened(sorted(tables))})"
    return (
        f"{path} is {what if tables else 'an empty database'}, not a catalogue: name a file that "
        "python -m app.ingest has made, or import data into a new one."
    )


def pending_migrations(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether a catalogue is of an older version.

    Raises:
        CatalogError: the database is not a catalogue, or of a newer version than this program.
    """
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    if Migrations.migrations_table not in tables:
        raise CatalogError(_foreign(path, tables))
    rows = connection.execute(
        f"SELECT name FROM {Migrations.migrations_table} WHERE migration_set = ?", [MIGRATION_SET]
    )
    applied = {row[0] for row in rows}
    known = {migration.name for migration in migrations._migrations}
    if not applied:
        raise CatalogError(_foreign(path, tables))
    if applied - known:
        raise CatalogError(
            f"The catalogue {path} was written by a newer version of this program "
            f"({', '.join(sorted(applied - known))}): update the program."
        )
    return applied != known
