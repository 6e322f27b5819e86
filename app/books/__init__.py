"""The built-in books and their simulated readers; docs/data-card.md says what they are."""

from app.books.facts import build_books_catalog, load_books

__all__ = ["build_books_catalog", "load_books"]
