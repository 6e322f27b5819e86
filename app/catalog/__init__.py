"""The catalogue: one SQLite file with items and interactions, and all questions to it."""

from app.catalog.catalog import Catalog, Page
from app.catalog.filters import NO_FILTER, ItemFilter
from app.catalog.items import CatalogItem, text_fields
from app.catalog.search import Query, Sort

__all__ = [
    "NO_FILTER",
    "Catalog",
    "CatalogItem",
    "ItemFilter",
    "Page",
    "Query",
    "Sort",
    "text_fields",
]
