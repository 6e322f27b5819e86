"""app.catalog.search over PostgreSQL: a GIN index of tokens, read window by window of an order.

GIN gives its matches in no order, and all of them: of a word that half of a million items have, a
page of 48 would be sorted out of half a million. So every row carries, as a token among its words,
in which block of each sort order it is. A page asks for the words within the next block, then
within the next four, ..., and stops when it is full: what many items have is found in the first
window, and what few have costs little anyway.

Nothing that a visitor types is parsed by PostgreSQL: a tsquery is put together from tokens that
hold letters and digits only, each in quotes, and is sent as a value.
"""

from app.catalog import search
from app.catalog.postgres.schema import SORT_ORDERS
from app.catalog.postgres.server import Session
from app.catalog.search import MAX_COUNT, Found, Grammar, Query

# As app.catalog.search_text: private-use characters, which no visitor's token has.
PREFIX_MARK, BLOCK_MARK = "\ue002", "\ue003"
BLOCK = 1024  # places of an order
WINDOWS = (1, 4, 16, 64)  # blocks; then all that is left


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
            blocks = " | ".join(quoted(block_token(index, block + n)) for n in range(window))
            within = f"({match}) & ({blocks})"
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
    total = 0
    for match in tiers:
        (found,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM browse WHERE tokens @@ ?::tsquery LIMIT ?) found",
            [match, MAX_COUNT + 1 - total],
        ).fetchone()
        total += found
        if total > MAX_COUNT:
            return None
    return total
