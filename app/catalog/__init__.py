"""The catalogue: items and interactions in one file or database, and all questions to it.

A name is imported when it is first used: sqlite_utils takes a second, which no --help should.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.catalog.catalog import Catalog
    from app.catalog.filters import NO_FILTER, ItemFilter
    from app.catalog.items import CatalogItem, text_fields
    from app.catalog.opening import open_catalog
    from app.catalog.search import Page, Query, Sort

__all__ = [
    "NO_FILTER",
    "Catalog",
    "CatalogItem",
    "ItemFilter",
    "Page",
    "Query",
    "Sort",
    "open_catalog",
    "text_fields",
]

_MODULES = {
    "NO_FILTER": "filters",
    "Catalog": "catalog",
    "CatalogItem": "items",
    "ItemFilter": "filters",
    "Page": "search",
    "open_catalog": "opening",
    "Query": "search",
    "Sort": "search",
    "text_fields": "items",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
