"""Who took what in a catalogue, as sequences: what item-kNN and popularity are counted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from app.books.facts import load_books
from app.books.readers import simulate
from app.books.shelf import build_shelf
from app.books.simulate import DEFAULT_READERS, DEFAULT_SEED
from app.catalog import Catalog
from app.errors import CatalogError

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.data import Interactions

# Item-kNN counts pairs of items; what is larger is for hllm.evaluate, which nobody waits for.
MOST_ITEMS = 50_000
MOST_INTERACTIONS = 5_000_000
HOW = "import them with  python -m app.ingest --interactions FILE"


def check_taken(catalog: Catalog, *, built_in: bool) -> None:
    """Make sure that there is something to count, and not too much.

    Args:
        catalog: open.
        built_in: it is that of the built-in books, whose readers are simulated.

    Raises:
        CatalogError: there are no interactions, or too many for counting while somebody waits.
    """
    if built_in:
        return
    count, _ = catalog.count_interactions()
    if not count:
        raise CatalogError(f"This catalogue has no interactions to count: {HOW}.")
    if catalog.num_items > MOST_ITEMS or count > MOST_INTERACTIONS:
        raise CatalogError(
            f"This catalogue is too large to be counted while somebody waits ({count:,} "
            f"interactions of {catalog.num_items:,} items; at most {MOST_INTERACTIONS:,} of "
            f"{MOST_ITEMS:,}): compare with  python -m hllm.evaluate."
        )


def interactions_of(catalog: Catalog, *, built_in: bool) -> Interactions:
    """All interactions of a catalogue in order of time; items without any are among its items.

    Args:
        catalog: open.
        built_in: see check_taken; the simulated readers that the built-in HLLM was trained on.

    Raises:
        CatalogError: see check_taken.
    """
    from hllm.data import PAD_ID, Interactions, make_interactions, row_order  # noqa: PLC0415  pandas, when it is wanted
    from hllm.rows import InteractionRows  # noqa: PLC0415  the same

    check_taken(catalog, built_in=built_in)
    if built_in:
        books = load_books()
        histories, _ = simulate(build_shelf(books), DEFAULT_READERS, DEFAULT_SEED)
        return Interactions(
            item_ids=[PAD_ID, *(book.item_id for book in books)],
            user_ids=[f"reader-{number:05d}" for number in range(1, len(histories) + 1)],
            user_indices=np.arange(1, len(histories) + 1),
            sequences=[history.astype(np.int64) + 1 for history in histories],
        )
    rows = InteractionRows()
    items, users = rows.item_number, rows.user_number
    for user_id, item_id, timestamp in catalog.iter_interactions():
        rows.item_codes.append(items.setdefault(item_id, len(items)))
        rows.user_codes.append(users.setdefault(user_id, len(users)))
        rows.timestamps.append(timestamp)
    others = [item_id for item_id, _ in catalog.iter_texts() if item_id not in items]
    return make_interactions(rows, row_order(rows), others)
