"""Names of columns that are understood: those of data sets that people have."""

from dataclasses import fields
from pathlib import Path

import pytest

from app.catalog import CatalogItem
from app.ingest.columns import INTERACTION_COLUMNS, ITEM_COLUMNS
from app.ingest.tables import resolve


def resolved(header, known):
    return resolve(Path("t.csv"), header.split(","), known, {}, (), "--map")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("movieId,title,genres", {"item_id": "movieId", "title": "title", "categories": "genres"}),
        (
            "ISBN,Title,Author,Release Date,Cover-URL",
            {"item_id": "ISBN", "title": "Title", "creator": "Author", "year": "Release Date",
             "image": "Cover-URL"},
        ),
        # The first of two names that fit a field is taken, not the first column.
        ("asin,id,name,overview", {"item_id": "id", "title": "name", "description": "overview"}),
        ("item_id,view_number,tag", {"item_id": "item_id", "popularity": "view_number",
                                     "tags": "tag"}),
    ],
)  # fmt: skip
def test_headers_of_items(header, expected):
    assert resolved(header, ITEM_COLUMNS) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("userId,movieId,rating,timestamp", ["movieId", "userId", "timestamp"]),
        ("reviewerID,asin,overall,unixReviewTime", ["asin", "reviewerID", "unixReviewTime"]),
        ("timestamp,visitorid,event,item", ["item", "visitorid", "timestamp"]),
    ],
)
def test_headers_of_interactions(header, expected):
    assert list(resolved(header, INTERACTION_COLUMNS).values()) == expected


def test_a_name_means_one_field_and_a_field_is_one_of_an_item():
    for known in (ITEM_COLUMNS, INTERACTION_COLUMNS):
        names = [name.replace("_", "") for of_field in known.values() for name in of_field]
        assert len(set(names)) == len(names)
    assert {*ITEM_COLUMNS} <= {field.name for field in fields(CatalogItem)}
