"""Rows of the items table become CatalogItems."""

import json
from collections.abc import Sequence
from typing import Any

from app.catalog.items import CatalogItem
from app.catalog.sql import Connection
from app.catalog.write import VALUES_PER_QUERY, chunks

COLUMNS = (
    "i.id, i.item_id, i.title, i.description, i.tags, i.categories, i.creator, i.year, i.price, "
    "i.image, coalesce(b.popularity, i.popularity), i.extra"
)
ITEM_TABLES = "items i LEFT JOIN browse b ON b.item = i.id"


def read_items(
    connection: Connection, column: str, values: Sequence[Any]
) -> dict[int, CatalogItem]:
    """Items by internal id, where ``column`` (a name from this program) has one of the values."""
    found: dict[int, CatalogItem] = {}
    for chunk in chunks(values, VALUES_PER_QUERY):
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM {ITEM_TABLES} WHERE {column} IN ({marks})", chunk
        )
        found.update((row[0], item_from_row(row)) for row in rows)
    return found


def item_from_row(row: Sequence[Any]) -> CatalogItem:
    """The item of a row with COLUMNS."""
    return CatalogItem(
        item_id=row[1],
        title=row[2],
        description=row[3],
        tags=tuple(json.loads(row[4])),
        categories=tuple(json.loads(row[5])),
        creator=row[6],
        year=row[7],
        price=row[8],
        image=row[9],
        popularity=row[10],
        extra=json.loads(row[11]),
    )
