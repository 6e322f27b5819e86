"""Which items a page holds: from search text, category and sort order to places in that order.

Nothing here costs more because more items match: each sort order has a full-text table whose
rowid is the place in that order, so a page is the first rows of the match.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from app.catalog.items import CatalogItem
from app.catalog.schema import MAX_INDEXED_PREFIX
from app.catalog.search_text import TITLE_MARK, category_token, query_tokens, quoted
from app.catalog.sql import Connection
from hllm.schema.rules import parse_json

Sort = Literal["popularity", "title", "year", "newest", "relevance"]
SORTS: tuple[str, ...] = get_args(Sort)
Places = Callable[[str | None, int, int], list[int]]

MAX_LIMIT = 500
# Counting more than this would take longer than showing the page.
MAX_COUNT = 10_000
# A long prefix becomes the words that begin with it, the most frequent ones.
MAX_EXPANSION = 200


@dataclass(frozen=True, kw_only=True)
class Query:
    """What a visitor wants to see.

    Attributes:
        search: words that must all occur; the last one may be incomplete.
        category: exact name of a category, "" for all.
        sort: "year" is oldest first, "newest" latest year first (undated items last in both),
            "relevance" puts items with all words in title or creator first, then by popularity.
    """

    search: str = ""
    category: str = ""
    sort: Sort = "popularity"


@dataclass(frozen=True)
class Page:
    """Some items of a query.

    Attributes:
        items: at most as many as were asked for.
        next_cursor: give it to ``Catalog.page`` for the items that follow; None at the end.
        total: number of items of all pages, None if they are too many to count in time.
    """

    items: list[CatalogItem]
    next_cursor: str | None
    total: int | None


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The last item of a page: the next page begins behind it, even after a reindex."""

    sort: str
    tier: int
    item_id: str
    total: int | None

    def encode(self) -> str:
        """The opaque cursor."""
        text = json.dumps([self.sort, self.tier, self.item_id, self.total])
        return base64.urlsafe_b64encode(text.encode()).decode()

    @staticmethod
    def decode(cursor: str, sort: str) -> "Anchor":
        """Read a cursor back.

        Raises:
            ValueError: it is not one, or was made for another sort order.
        """
        try:
            values = parse_json(
                base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
            )
            made_for, tier, item_id, total = values
        except (ValueError, TypeError) as error:
            raise ValueError("This page link is damaged: start again at the first page.") from error
        well_typed = (
            isinstance(item_id, str)
            and type(tier) is int
            and tier in (0, 1)
            and (total is None or (type(total) is int and 0 <= total < 2**53))
        )
        if made_for != sort or not well_typed:
            raise ValueError(
                "This page link belongs to another sort order: start again at the first page."
            )
        return Anchor(sort=sort, tier=tier, item_id=item_id, total=total)


@dataclass(frozen=True)
class Found:
    """Rows of a page, in order: internal item id and the tier it was found in."""

    rows: list[tuple[int, int]]
    has_more: bool


def order_of(sort: str, num_dated: int) -> str:
    """The stored order that serves a sort."""
    if sort == "relevance" or (sort in ("year", "newest") and not num_dated):
        return "popularity"
    return sort


@dataclass(frozen=True)
class Grammar:
    """How a full-text index writes down what is to be found; tokens hold letters and digits only.

    Attributes:
        all_of, any_of: between parts.
        but_not: of two expressions.
        word: a token.
        prefix: the beginning of a token, of MAX_INDEXED_PREFIX characters at most.
    """

    all_of: str
    any_of: str
    but_not: str
    word: Callable[[str], str]
    prefix: Callable[[str], str]


FTS5 = Grammar(" AND ", " OR ", "({}) NOT ({})", quoted, lambda prefix: quoted(prefix) + "*")


def match_tiers(connection: Connection, query: Query, grammar: Grammar = FTS5) -> list[str | None]:
    """Expressions whose matches, one after the other, are the result of a query.

    Returns:
        [None] for all items; [] if nothing can match.
    """
    parts: list[str] = []
    if query.category:
        row = connection.execute(
            "SELECT id FROM categories WHERE name = ?", [query.category]
        ).fetchone()
        if row is None:
            return []
        parts.append(grammar.word(category_token(row[0])))
    if not query.search.strip():
        return [grammar.all_of.join(parts) or None]
    anywhere = _words_expression(connection, query.search, "", grammar)
    if anywhere is None:
        return []
    everything = grammar.all_of.join([*parts, anywhere])
    if query.sort != "relevance":
        return [everything]
    headline = _words_expression(connection, query.search, TITLE_MARK, grammar)
    if headline is None:
        return [everything]
    return [grammar.all_of.join([*parts, headline]), grammar.but_not.format(everything, headline)]


def _words_expression(
    connection: Connection, search: str, mark: str, grammar: Grammar
) -> str | None:
    """All words of a search; None if a word cannot occur."""
    tokens, prefix = query_tokens(search)
    parts = [grammar.word(mark + token) for token in tokens]
    if prefix:
        expanded = _prefix_expression(connection, mark + prefix, grammar)
        if expanded is None:
            return None
        parts.append(expanded)
    return grammar.all_of.join(parts) or None


def _prefix_expression(connection: Connection, prefix: str, grammar: Grammar) -> str | None:
    if len(prefix) <= MAX_INDEXED_PREFIX:
        return grammar.prefix(prefix)
    # FTS5 would read every match of every such word before the first row comes out (measured:
    # 140 ms where 430,000 items match); words that are given one by one are read as needed.
    rows = connection.execute(
        "SELECT token FROM vocabulary WHERE token >= ? AND token < ? "
        "ORDER BY num_items DESC, token LIMIT ?",
        [prefix, prefix + "\U0010ffff", MAX_EXPANSION],
    ).fetchall()
    if not rows:
        return None
    return "(" + grammar.any_of.join(grammar.word(token) for (token,) in rows) + ")"


def find(
    connection: Connection,
    tiers: list[str | None],
    index: str,
    *,
    start: tuple[int, int],
    limit: int,
) -> Found:
    """Find the items of one page.

    Args:
        connection: the catalogue.
        tiers: from match_tiers.
        index: stored order, from order_of.
        start: (tier, place) of the last item that was already shown; (0, 0) at the beginning.
        limit: most items of the page.
    """

    def places(match: str | None, after: int, wanted: int) -> list[int]:
        return _places(connection, match, index, after, wanted)

    return first_of_tiers(places, tiers, start, limit)


def first_of_tiers(
    places: Places, tiers: list[str | None], start: tuple[int, int], limit: int
) -> Found:
    """The next items of the first tier, then of the second; see `find`.

    Args:
        places: gives items of one tier: of what matches, behind which place, how many.
        tiers: see `find`.
        start: see `find`.
        limit: see `find`.
    """
    first_tier, place = start
    rows: list[tuple[int, int]] = []
    for tier in range(first_tier, len(tiers)):
        after = place if tier == first_tier else 0
        rows += [(item, tier) for item in places(tiers[tier], after, limit + 1 - len(rows))]
        if len(rows) > limit:
            break
    return Found(rows[:limit], len(rows) > limit)


def _places(
    connection: Connection, match: str | None, index: str, after: int, limit: int
) -> list[int]:
    if match is None:
        query = f"SELECT item FROM browse WHERE by_{index} > ? ORDER BY by_{index} LIMIT ?"
        return [row[0] for row in connection.execute(query, [after, limit])]
    # Two statements: joined to browse, SQLite may sort the whole match instead of stopping early.
    query = (
        f"SELECT rowid FROM search_{index} WHERE search_{index} MATCH ? AND rowid > ? "
        "ORDER BY rowid LIMIT ?"
    )
    places = [row[0] for row in connection.execute(query, [match, after, limit])]
    marks = ",".join("?" * len(places))
    rows = connection.execute(
        f"SELECT item FROM browse WHERE by_{index} IN ({marks}) ORDER BY by_{index}", places
    )
    return [row[0] for row in rows]


def place_of(connection: Connection, item_id: str, index: str) -> int:
    """Where an item stands in a stored order.

    Raises:
        ValueError: there is no such item.
    """
    row = connection.execute(
        f"SELECT by_{index} FROM browse JOIN items ON items.id = browse.item WHERE item_id = ?",
        [item_id],
    ).fetchone()
    if row is None:
        raise ValueError("The item of this page link is gone: start again at the first page.")
    return int(row[0])


def count(
    connection: Connection, tiers: list[str | None], query: Query, num_indexed: int
) -> int | None:
    """Number of items that a query finds; None if there are more than MAX_COUNT to count."""
    if not tiers:
        return 0
    if tiers == [None]:
        return num_indexed
    if not query.search.strip():
        row = connection.execute(
            "SELECT num_items FROM categories WHERE name = ?", [query.category]
        ).fetchone()
        return int(row[0])
    total = 0
    for match in tiers:
        total += connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM search_popularity "
            "WHERE search_popularity MATCH ? LIMIT ?)",
            [match, MAX_COUNT + 1 - total],
        ).fetchone()[0]
        if total > MAX_COUNT:
            return None
    return total
