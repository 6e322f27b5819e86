"""app.catalog.search over PostgreSQL: a GIN index of tokens, read window by window of an order.

GIN gives its matches in no order, and all of them: of a word that half of a million items have, a
page of 48 would be sorted out of half a million. So every row carries, as a token among its words,
in which block of each sort order it is. A page asks for the words within the next block, then
within the next four, ..., and stops when it is full: what many items have is found in the first
window, and what few have costs little anyway.

Nothing that a visitor types is parsed by PostgreSQL: a tsquery is put together from tokens that
hold letters and digits only, each in quotes, and is sent as a value.
"""

from dataclasses import replace

from app.catalog import search
from app.catalog.postgres.schema import SORT_ORDERS
from app.catalog.postgres.server import Session
from app.catalog.search import MAX_COUNT, Found, Grammar, Query
from app.catalog.search_text import query_tokens

# As app.catalog.search_text: private-use characters, which no visitor's token has.
PREFIX_MARK, BLOCK_MARK = "\ue002", "\ue003"
BLOCK = 1024  # places of an order
# Blocks; then all that is left. More of them at once take longer than all that two frequent words
# share: each block is a word of the tsquery, and each place is held against every word.
WINDOWS = (1, 4, 16)
COUNTED, PARTS = 4, 16  # blocks that are counted at once, and how often


def quoted(token: str) -> str:
    """A token in a tsquery."""
    return f"'{token}'"


TSQUERY = Grammar(" & ", " | ", "({}) & !({})", quoted, lambda prefix: quoted(PREFIX_MARK + prefix))


def block_token(sort: str, block: int) -> str:
    """The token that all items of a block of a sort order carry; see app.catalog.postgres.index."""
    return f"{BLOCK_MARK}{SORT_ORDERS.index(sort)}.{block}"


def match_tiers(connection: Session, query: Query) -> list[str | None]:
    """As app.catalog.search.match_tiers, as texts of a tsquery."""
    return search.match_tiers(connection, query, TSQUERY)


def find(
    connection: Session,
    tiers: list[str | None],
    index: str,
    *,
    start: tuple[int, int],
    limit: int,
) -> Found:
    """As app.catalog.search.find."""

    def places(match: str | None, after: int, wanted: int) -> list[int]:
        return _places(connection, match, index, after, wanted)

    return search.first_of_tiers(places, tiers, start, limit)


def _places(
    connection: Session, match: str | None, index: str, after: int, limit: int
) -> list[int]:
    if match is None:
        query = f"SELECT item FROM browse WHERE by_{index} > ? ORDER BY by_{index} LIMIT ?"
        return [item for (item,) in connection.execute(query, [after, limit]).fetchall()]
    found: list[int] = []
    block = after // BLOCK  # places begin at 1: `after` is the last of a block, or within it
    for window in (*WINDOWS, 0):
        within = match
        if window:
            within = f"({match}) & ({_blocks(index, block, window)})"
        # MATERIALIZED, or the order might be looked through row by row.
        rows = connection.execute(
            f"WITH found AS MATERIALIZED (SELECT item, by_{index} AS place FROM browse "
            "WHERE tokens @@ ?::tsquery) "
            "SELECT item FROM found WHERE place > ? ORDER BY place LIMIT ?",
            [within, max(after, block * BLOCK), limit - len(found)],
        ).fetchall()
        found += [item for (item,) in rows]
        block += window
        if len(found) == limit:
            break
    return found


def count(
    connection: Session, tiers: list[str | None], query: Query, num_indexed: int
) -> int | None:
    """As app.catalog.search.count."""
    if not tiers or tiers == [None] or not query.search.strip():
        return search.count(connection, tiers, query, num_indexed)
    [anywhere] = match_tiers(connection, replace(query, sort="popularity"))
    if _is_frequent(connection, query) or _are_many(connection, anywhere):
        return None
    total = 0
    for match in tiers:
        total += _count(connection, match, MAX_COUNT + 1 - total)
        if total > MAX_COUNT:
            return None
    return total


def _count(connection: Session, match: str | None, limit: int) -> int:
    (found,) = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM browse WHERE tokens @@ ?::tsquery LIMIT ?) found",
        [match, limit],
    ).fetchone()
    return int(found)


def _is_frequent(connection: Session, query: Query) -> bool:
    """Whether one word that a search for nothing else finds is in more items than are counted."""
    tokens, prefix = query_tokens(query.search)
    if tokens or not prefix or query.category:
        return False
    (found,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM vocabulary WHERE token >= ? AND token < ? AND num_items > ?)",
        [prefix, prefix + "\U0010ffff", MAX_COUNT],
    ).fetchone()
    return bool(found)


def _are_many(connection: Session, match: str | None) -> bool:
    """Whether a part of the most popular items holds more matches than are counted.

    It is looked into where the first block promises that.
    """

    def found(first: int, number: int) -> int:
        within = f"({match}) & ({_blocks('popularity', first, number)})"
        return _count(connection, within, MAX_COUNT + 1)

    if found(0, 1) * COUNTED * PARTS <= MAX_COUNT:
        return False
    total = 0
    for part in range(PARTS):
        total += found(part * COUNTED, COUNTED)
        if total > MAX_COUNT:
            return True
    return False


def _blocks(sort: str, first: int, number: int) -> str:
    """So many blocks of a sort order, in a tsquery."""
    return " | ".join(quoted(block_token(sort, first + n)) for n in range(number))
