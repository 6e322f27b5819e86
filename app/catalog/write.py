"""What changes a catalogue: items and interactions.

Every function runs inside the caller's transaction.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from app.catalog.imports import FIRST_PLACE, ImportMark, claim_interactions
from app.catalog.items import CatalogItem, bounded, content_hash, text_fields
from app.catalog.search_text import index_tokens, sort_key
from app.catalog.sql import Connection
from app.catalog.times import stored_times
from hllm.times import Timestamp

# SQLite allows 250,000 values a statement here but only 32,766 or 999 elsewhere.
VALUES_PER_QUERY = 900
_HASH_RANGE = 2**64
NUM_EXAMPLES = 3
_KEYS = ("item", "row_hash", "text_hash", "title_key", "year", "popularity")


@dataclass(frozen=True, kw_only=True)
class ItemCounts:
    """What became of a batch of items.

    Attributes:
        repeated: items that the file had before, at an earlier line.
        examples: some of them, with both lines.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    repeated: int = 0
    examples: tuple[tuple[str, int, int], ...] = ()

    def __add__(self, other: "ItemCounts") -> "ItemCounts":
        return ItemCounts(
            added=self.added + other.added,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            repeated=self.repeated + other.repeated,
            examples=(self.examples + other.examples)[:NUM_EXAMPLES],
        )


@dataclass(frozen=True, kw_only=True)
class InteractionCounts:
    """What became of a batch of interactions; unknown ones name an item that is not there.

    Attributes:
        examples: ids of some of the unknown items.
    """

    added: int = 0
    duplicates: int = 0
    unknown_items: int = 0
    examples: tuple[str, ...] = ()

    def __add__(self, other: "InteractionCounts") -> "InteractionCounts":
        return InteractionCounts(
            added=self.added + other.added,
            duplicates=self.duplicates + other.duplicates,
            unknown_items=self.unknown_items + other.unknown_items,
            examples=tuple(dict.fromkeys(self.examples + other.examples))[:NUM_EXAMPLES],
        )


def chunks(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Cut an iterable into lists of at most ``size``."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def read_meta(db: Connection) -> dict[str, str]:
    """All of the meta table."""
    return dict(db.execute("SELECT key, value FROM meta").fetchall())


def _upsert(table: str, columns: Sequence[str]) -> str:
    """Put a row in the place of one with the same first column, whose references stay."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({','.join('?' * len(columns))}) "
        f"ON CONFLICT ({columns[0]}) DO UPDATE SET {updates}"
    )


def write_meta(db: Connection, **values: object) -> None:
    """Set keys of the meta table."""
    rows = [(key, str(value)) for key, value in values.items()]
    db.executemany(_upsert("meta", ("key", "value")), rows)


def lookup_ids(db: Connection, table: str, column: str, values: Iterable[str]) -> dict[str, int]:
    """Internal ids of the values that exist."""
    found: dict[str, int] = {}
    for chunk in chunks(dict.fromkeys(values), VALUES_PER_QUERY):
        marks = ",".join("?" * len(chunk))
        rows = db.execute(f"SELECT {column}, id FROM {table} WHERE {column} IN ({marks})", chunk)
        found.update(rows.fetchall())
    return found


def upsert_items(
    db: Connection, items: Iterable[CatalogItem], mark: ImportMark | None = None
) -> ItemCounts:
    """Add items, replace those whose content changed, leave equal ones untouched.

    Of several items with one item_id the last wins. Keeps ``num_items`` and ``data_version`` of the
    meta table true: the version is a sum of hashes of the items' texts, so that it depends on
    neither order nor batches.

    Raises:
        ValueError: an item_id is empty or too long.
    """
    given = [bounded(item) for item in items]
    batch = {item.item_id: item for item in given}
    known = lookup_ids(db, "items", "item_id", batch)
    hashes = _stored_hashes(db, known.values())
    next_id = db.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()[0] + 1
    changed: list[tuple[int, int, CatalogItem]] = []
    for item in batch.values():
        row_hash = content_hash(vars(item))
        row_id = known.get(item.item_id)
        if row_id is None:
            row_id, next_id = next_id, next_id + 1
        elif hashes[row_id][0] == row_hash:
            continue
        changed.append((row_id, row_hash, item))
    if changed:
        _write_items(db, changed, hashes, num_new=len(batch) - len(known))
    num_new = len(batch) - len(known)
    repeated: list[tuple[str, int, int]] = []
    if mark:
        known.update((item.item_id, row_id) for row_id, _, item in changed)
        repeated = _write_places(db, [(known[item.item_id], item.item_id) for item in given], mark)
    return ItemCounts(
        added=num_new,
        updated=len(changed) - num_new,
        unchanged=len(batch) - len(changed),
        repeated=len(repeated),
        examples=tuple(repeated[:NUM_EXAMPLES]),
    )


def _write_places(
    db: Connection, rows: Sequence[tuple[int, str]], mark: ImportMark
) -> list[tuple[str, int, int]]:
    """Note where items are from; returns those that this file has at two lines."""
    place_of: dict[int, int] = {}
    for chunk in chunks((row_id for row_id, _ in rows), VALUES_PER_QUERY):
        marks = ",".join("?" * len(chunk))
        query = f"SELECT item, place FROM item_places WHERE item IN ({marks})"
        place_of.update(db.execute(query, chunk).fetchall())
    repeated: list[tuple[str, int, int]] = []
    for (row_id, item_id), line, place in zip(rows, mark.lines, mark.places(), strict=True):
        earlier = place_of.get(row_id, 0) - (place - line)
        if 0 < earlier < line:
            repeated.append((item_id, earlier, line))
        place_of[row_id] = place
    db.executemany(_upsert("item_places", ("item", "place")), list(place_of.items()))
    return repeated


def remove_items(db: Connection, row_ids: Sequence[int]) -> None:
    """Remove items and, by cascade, all that hangs on them."""
    if not row_ids:
        return
    meta = read_meta(db)
    hashes = _stored_hashes(db, row_ids)
    version = int(meta["data_version"], 16) - sum(text for _, text in hashes.values())
    db.executemany("DELETE FROM items WHERE id = ?", [(row_id,) for row_id in row_ids])
    write_meta(
        db,
        data_version=f"{version % _HASH_RANGE:016x}",
        num_items=int(meta["num_items"]) - len(row_ids),
        revision=int(meta["revision"]) + 1,
        stale=1,
    )


def _stored_hashes(db: Connection, row_ids: Iterable[int]) -> dict[int, tuple[int, int]]:
    hashes: dict[int, tuple[int, int]] = {}
    for chunk in chunks(row_ids, VALUES_PER_QUERY):
        marks = ",".join("?" * len(chunk))
        query = f"SELECT item, row_hash, text_hash FROM item_keys WHERE item IN ({marks})"
        hashes.update((item, (row, text)) for item, row, text in db.execute(query, chunk))
    return hashes


def _write_items(
    db: Connection,
    changed: Sequence[tuple[int, int, CatalogItem]],
    hashes: dict[int, tuple[int, int]],
    num_new: int,
) -> None:
    meta = read_meta(db)
    version = int(meta["data_version"], 16)
    rows, keys = [], []
    for row_id, row_hash, item in changed:
        texts = text_fields(item)
        text_hash = content_hash({"item_id": item.item_id, "texts": texts})
        version += text_hash - (hashes[row_id][1] if row_id in hashes else 0)
        rows.append(_item_row(row_id, item))
        title_key = sort_key(item.title)
        keys.append((row_id, row_hash, text_hash, title_key, item.year, item.popularity))
    columns = (
        "id, item_id, title, creator, year, price, image, popularity, tags, categories, "
        "description, extra"
    ).split(", ")
    db.executemany(_upsert("items", columns), rows)
    db.executemany(_upsert("item_keys", _KEYS), keys)
    _write_categories_and_tokens(db, changed)
    write_meta(
        db,
        data_version=f"{version % _HASH_RANGE:016x}",
        num_items=int(meta["num_items"]) + num_new,
        revision=int(meta["revision"]) + 1,
        stale=1,
    )


def _item_row(row_id: int, item: CatalogItem) -> tuple[Any, ...]:
    def as_json(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, default=str)

    return (
        row_id,
        item.item_id,
        item.title,
        item.creator,
        item.year,
        item.price,
        item.image,
        item.popularity,
        as_json(item.tags),
        as_json(item.categories),
        item.description,
        as_json(item.extra),
    )


def _write_categories_and_tokens(
    db: Connection, changed: Sequence[tuple[int, int, CatalogItem]]
) -> None:
    names = {(name,) for _, _, item in changed for name in item.categories}
    db.executemany(
        "INSERT INTO categories (name) VALUES (?) ON CONFLICT (name) DO NOTHING", sorted(names)
    )
    category_ids = lookup_ids(db, "categories", "name", (name for (name,) in names))
    db.executemany(
        "DELETE FROM item_categories WHERE item = ?", [(row_id,) for row_id, _, _ in changed]
    )
    db.executemany(
        "INSERT INTO item_categories (item, category) VALUES (?, ?)",
        [(row_id, category_ids[name]) for row_id, _, item in changed for name in item.categories],
    )
    tokens = [
        (
            row_id,
            search_tokens(item, [category_ids[name] for name in item.categories]),
        )
        for row_id, _, item in changed
    ]
    db.executemany(_upsert("item_search", ("item", "tokens")), tokens)


def search_tokens(item: CatalogItem, category_ids: Iterable[int] = ()) -> str:
    """What the full-text index holds of an item: see app.catalog.search_text.index_tokens."""
    return index_tokens(
        (item.title, item.creator), (*item.tags, *item.categories, item.description), category_ids
    )


def insert_interactions(
    db: Connection,
    interactions: Iterable[tuple[str, str, Timestamp]],
    mark: ImportMark | None = None,
) -> InteractionCounts:
    """Add (user_id, item_id, timestamp) rows; ones that exist already are left out.

    Raises:
        CatalogError: times do not fit beside the ones that are there.
    """
    batch = list(interactions)
    item_ids = lookup_ids(db, "items", "item_id", (row[1] for row in batch))
    places = mark.places() if mark else _places_without_file(db, len(batch))
    kept, unknown, ids = [], [], []
    for row, place in zip(batch, places, strict=True):
        if row[1] in item_ids:
            kept.append(row)
            ids.append(place)
        else:
            unknown.append(row[1])
    users = dict.fromkeys(row[0] for row in kept)
    db.executemany(
        "INSERT INTO users (user_id) VALUES (?) ON CONFLICT (user_id) DO NOTHING",
        [(user,) for user in users],
    )
    user_ids = lookup_ids(db, "users", "user_id", users)
    times = stored_times(db, [row[2] for row in kept], int(read_meta(db)["time_digits"]))
    rows = [
        (place, user_ids[user], item_ids[item], time)
        for place, (user, item, _), time in zip(ids, kept, times, strict=True)
    ]
    if mark:
        claim_interactions(db, rows, mark.older)
    added = db.executemany(
        'INSERT INTO interactions (id, "user", item, timestamp) VALUES (?, ?, ?, ?) '
        "ON CONFLICT DO NOTHING",
        rows,
    ).rowcount
    if added:
        write_meta(db, stale=1)
    return InteractionCounts(
        added=added,
        duplicates=len(kept) - added,
        unknown_items=len(unknown),
        examples=tuple(dict.fromkeys(unknown))[:NUM_EXAMPLES],
    )


def _places_without_file(db: Connection, count: int) -> Sequence[int]:
    query = "SELECT coalesce(max(id), 0) + 1 FROM interactions WHERE id < ?"
    first = db.execute(query, [FIRST_PLACE]).fetchone()[0]
    return range(first, first + count)


def remove_unused_items(db: Connection) -> int:
    """Remove the items that no interaction names; returns how many."""
    query = "SELECT id FROM items WHERE id NOT IN (SELECT item FROM interactions)"
    unused = [row_id for (row_id,) in db.execute(query).fetchall()]
    remove_items(db, unused)
    return len(unused)


def k_core(db: Connection, k: int) -> int:
    """Remove the interactions of rare items and users, as the reference prepares its data.

    One pass, not repeated: items and users with at least k interactions are kept, and of those
    users the ones with at least k interactions left. Items stay in the catalogue.

    Returns:
        Number of interactions removed.
    """
    for kind in ("user", "item"):
        db.execute(f"CREATE TEMP TABLE core_{kind}s (number BIGINT PRIMARY KEY)")
        db.execute(
            f'INSERT INTO core_{kind}s SELECT "{kind}" FROM interactions '
            f'GROUP BY "{kind}" HAVING count(*) >= ?',
            [k],
        )
    removed = db.execute(
        'DELETE FROM interactions WHERE "user" NOT IN (SELECT number FROM core_users) '
        "OR item NOT IN (SELECT number FROM core_items)"
    ).rowcount
    removed += db.execute(
        'DELETE FROM interactions WHERE "user" IN '
        '(SELECT "user" FROM interactions GROUP BY "user" HAVING count(*) < ?)',
        [k],
    ).rowcount
    db.execute("DROP TABLE core_users")
    db.execute("DROP TABLE core_items")
    if removed:
        write_meta(db, stale=1)
    return removed
