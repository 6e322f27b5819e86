"""app.catalog.index over PostgreSQL: `browse` is written anew, and takes the old one's place.

Readers see the old one until the transaction ends, and wait for the moment of the change at most.
"""

from app.catalog.index import INDEX_CHUNK, Progress, write_orders
from app.catalog.postgres.readers import let_read, readers_of
from app.catalog.postgres.schema import BROWSE, BROWSE_INDEXES, SORT_ORDERS
from app.catalog.postgres.search import BLOCK, BLOCK_MARK, PREFIX_MARK, block_token
from app.catalog.postgres.server import Session
from app.catalog.schema import MAX_INDEXED_PREFIX
from app.catalog.search_text import CATEGORY_MARK, TITLE_MARK
from app.catalog.write import write_meta

_NEW = "browse_next"
_BLOCKS = ", ".join(
    f"'{block_token(sort, 0)[:-1]}' || (o.by_{sort} - 1) / {BLOCK}" for sort in SORT_ORDERS
)
# The beginnings of words are words of their own, as in FTS5's prefix index: with :* every match of
# every such word would be read. A mark alone is the beginning of nothing.
# PostgreSQL takes texts out of rows of more than 2 KB only: a long word makes each one such, and is
# compressed away. With their tokens within, nine rows were on a page, and all pages not in memory.
_WIDE = f"repeat('{BLOCK_MARK}', 680)"
_FILL = f"""
INSERT INTO {_NEW} (item, popularity, by_popularity, by_title, by_year, by_newest, tokens)
SELECT o.item, o.popularity, o.by_popularity, o.by_title, o.by_year, o.by_newest,
    array_to_tsvector(array(
        SELECT word FROM unnest(string_to_array(s.tokens, ' ')) word
        UNION ALL
        SELECT '{PREFIX_MARK}' || left(word, n)
        FROM unnest(string_to_array(s.tokens, ' ')) word,
            generate_series(1, {MAX_INDEXED_PREFIX}) n
        WHERE length(word) >= n AND left(word, 1) <> '{CATEGORY_MARK}'
            AND left(word, n) <> '{TITLE_MARK}'
    ) || ARRAY[{_BLOCKS}, {_WIDE}])
FROM orders o JOIN item_search s USING (item)
WHERE o.by_popularity BETWEEN ? AND ? ORDER BY o.by_popularity
"""


def reindex(db: Session, progress: Progress | None = None) -> None:
    """As app.catalog.index.reindex."""
    report = progress or (lambda what, done, total: None)
    report("sorting", 0, 1)
    db.execute("SET LOCAL maintenance_work_mem = '256MB'")
    db.execute("SET LOCAL work_mem = '64MB'")
    db.execute(
        "CREATE TEMP TABLE orders (item bigint, popularity bigint, by_popularity integer "
        "PRIMARY KEY, by_title integer, by_year integer, by_newest integer) ON COMMIT DROP"
    )
    write_orders(db, "orders")
    db.execute("ANALYZE orders")
    num_items, num_dated = db.execute("SELECT count(*), count(year) FROM item_keys").fetchone()
    report("sorting", 1, 1)
    db.execute(BROWSE.format(name=_NEW))
    for first in range(1, num_items + 1, INDEX_CHUNK):
        last = min(first + INDEX_CHUNK - 1, num_items)
        db.execute(_FILL, [first, last])
        report("indexing", last, num_items)
    for at, statement in enumerate(BROWSE_INDEXES, 1):
        db.execute(statement.format(name=_NEW))
        report("building indexes", at, len(BROWSE_INDEXES))
    report("counting words", 0, 1)
    _write_counts(db)
    report("counting words", 1, 1)
    for table in (_NEW, "items", "item_categories", "vocabulary"):
        db.execute(f"ANALYZE {table}")
    db.execute("DROP TABLE browse")
    db.execute(f"ALTER TABLE {_NEW} RENAME TO browse")
    (schema,) = db.execute("SELECT current_schema()").fetchone()
    let_read(db.connection, schema, readers_of(db.connection, schema))
    write_meta(db, stale=0, num_indexed=num_items, num_dated=num_dated)


def _write_counts(db: Session) -> None:
    db.execute("DELETE FROM vocabulary")
    db.execute(
        "INSERT INTO vocabulary (token, num_items) SELECT word, count(*) "
        "FROM item_search, unnest(string_to_array(tokens, ' ')) word "
        f"WHERE length(word) > {MAX_INDEXED_PREFIX} AND left(word, 1) <> '{CATEGORY_MARK}' "
        "GROUP BY word"
    )
    db.execute("UPDATE categories SET num_items = 0 WHERE num_items <> 0")
    db.execute(
        "UPDATE categories SET num_items = c.n FROM "
        "(SELECT category, count(*) AS n FROM item_categories GROUP BY category) c "
        "WHERE c.category = categories.id"
    )
