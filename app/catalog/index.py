"""The browse index: sort orders, full-text tables, words and counts, rebuilt from the items."""

from collections.abc import Callable

from app.catalog.schema import FTS_BUFFER_BYTES, MAX_INDEXED_PREFIX, SORT_ORDERS
from app.catalog.search_text import CATEGORY_MARK
from app.catalog.sql import Connection
from app.catalog.write import write_meta

INDEX_CHUNK = 20_000

Progress = Callable[[str, int, int], None]


def reindex(db: Connection, progress: Progress | None = None) -> None:
    """Rebuild sort orders, search index, vocabulary and category counts from the items.

    Args:
        db: the catalogue, in a transaction.
        progress: called with (what, done, total) after each chunk.
    """
    report = progress or (lambda what, done, total: None)
    report("sorting", 0, 1)
    db.execute("DELETE FROM browse")
    write_orders(db, "browse")
    num_items, num_dated = db.execute("SELECT count(*), count(year) FROM item_keys").fetchone()
    report("sorting", 1, 1)
    for sort in SORT_ORDERS:
        db.execute(f"INSERT INTO search_{sort} (search_{sort}) VALUES ('delete-all')")
        # Without years both orders by year are the order by popularity: no need of their own index.
        if num_dated or sort not in ("year", "newest"):
            _fill_search(db, sort, num_items, report)
    report("counting words", 0, 1)
    _write_counts(db)
    report("counting words", 1, 1)
    write_meta(db, stale=0, num_indexed=num_items, num_dated=num_dated)


def write_orders(db: Connection, table: str) -> None:
    """Fill a table (a name from this program) with every item's popularity and its places."""
    has_interactions = db.execute("SELECT EXISTS (SELECT 1 FROM interactions)").fetchone()[0]
    popularity = "coalesce(c.n, 0)" if has_interactions else "k.popularity"
    db.execute(
        f"""
        INSERT INTO {table} (item, popularity, by_popularity, by_title, by_year, by_newest)
        SELECT item, p,
            row_number() OVER (ORDER BY p DESC, item),
            row_number() OVER (ORDER BY title_key = '', title_key, item),
            row_number() OVER (ORDER BY year IS NULL, year, p DESC, item),
            row_number() OVER (ORDER BY year IS NULL, year DESC, p DESC, item)
        FROM (
            SELECT k.item AS item, k.title_key AS title_key, k.year AS year, {popularity} AS p
            FROM item_keys k
            LEFT JOIN (SELECT item, count(*) AS n FROM interactions GROUP BY item) c USING (item)
        ) placed
        """
    )


def _fill_search(db: Connection, sort: str, num_items: int, report: Progress) -> None:
    db.execute(
        f"INSERT INTO search_{sort} (search_{sort}, rank) VALUES ('hashsize', ?)",
        [FTS_BUFFER_BYTES],
    )
    for first in range(1, num_items + 1, INDEX_CHUNK):
        last = min(first + INDEX_CHUNK - 1, num_items)
        db.execute(
            f"INSERT INTO search_{sort} (rowid, tokens) SELECT b.by_{sort}, s.tokens "
            f"FROM browse b JOIN item_search s USING (item) "
            f"WHERE b.by_{sort} BETWEEN ? AND ? ORDER BY b.by_{sort}",
            [first, last],
        )
        report(f"indexing by {sort}", last, num_items)
    # One segment: a query then looks each word up once.
    db.execute(f"INSERT INTO search_{sort} (search_{sort}) VALUES ('optimize')")


def _write_counts(db: Connection) -> None:
    db.execute("DELETE FROM vocabulary")
    db.execute(
        "INSERT INTO vocabulary (token, num_items) SELECT term, doc FROM search_terms "
        "WHERE length(term) > ? AND substr(term, 1, 1) <> ?",
        [MAX_INDEXED_PREFIX, CATEGORY_MARK],
    )
    db.execute("UPDATE categories SET num_items = 0")
    db.execute(
        "UPDATE categories SET num_items = c.n FROM "
        "(SELECT category, count(*) AS n FROM item_categories GROUP BY category) c "
        "WHERE c.category = categories.id"
    )
