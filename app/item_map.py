"""The map of the items: what a page is sent to draw it, made once for a model.

A point is a row of the recommender. A page gets places and categories of all of them, five bytes
each, and asks for the text of one when it is pointed at.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from app.catalog import Catalog, ItemFilter
from app.columns import Column
from app.errors import CatalogError
from app.filter_rows import FilterRows
from app.languages import marked, tr, tr_parts, tr_reason
from app.places import place
from hllm.errors import HLLMError
from hllm.packed import ItemIds

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.recommend import ItemRanker
    from hllm.serving.new_items import Item
    from hllm.serving.projection import Projection

MAX_COLOURS = 8  # more cannot be told apart; all other categories are the last one
OTHERS = marked("other")
ALL = marked("items")  # of a catalogue without categories
BEING_DRAWN = marked("The map is being drawn.")
NO_EMBEDDINGS = marked("{model} has no embeddings that could be drawn.")
NOT_MADE = marked("The map could not be made; the reason is in the log of the app.")
MAX_AT_ONCE = 4
WAIT_S = 1.0  # for a map that is being made, before the page is told to ask again
_STEPS = 65_535  # of a coordinate

logger = logging.getLogger(__name__)
Place = list[float]


@dataclass(frozen=True)
class Points:
    """Places and categories of the items of a recommender.

    Attributes:
        recommender: whose rows they are.
        projection: where each row stands.
        categories: names, by the numbers of `colours`.
        colours: (N,) uint8.
    """

    recommender: ItemRanker
    projection: Projection
    categories: list[str]
    colours: np.ndarray

    @cached_property
    def data(self) -> bytes:
        """N times x, then N times y, as little-endian uint16 from -1 to 1; then N colours."""
        places = self.projection.places.numpy()
        steps = np.rint((places.clip(-1, 1) + 1) / 2 * _STEPS).astype("<u2")
        return steps.T.tobytes() + self.colours.tobytes()

    @cached_property
    def version(self) -> str:
        """Another one for other points, or others' places."""
        names = "\n".join(self.recommender.item_ids).encode()
        return hashlib.sha256(names + b"\n" + self.data).hexdigest()[:16]

    @cached_property
    def ids(self) -> ItemIds:
        """Of the points."""
        return ItemIds.of(self.recommender.item_ids)

    def place(self, item_id: str) -> Place | None:
        """Of an item of the catalogue."""
        row = self.ids.row(item_id)
        return None if row is None else self.projection.places[row].tolist()


class ItemMap:
    """The map of the first column, HLLM.

    Args:
        columns: gives those of the page.
        catalog: whose categories give the colours.
    """

    def __init__(self, columns: Callable[[], Sequence[Column]], catalog: Catalog) -> None:
        self._columns = columns
        self._catalog = catalog
        self._asking = threading.BoundedSemaphore(MAX_AT_ONCE)
        self._lock = threading.Lock()
        self._of: ItemRanker | None = None  # for whom it is made, or was
        self._maker = threading.Thread()
        self._points: Points | None = None
        self._problem = ""

    def open(self) -> tuple[Points | None, str, bool]:
        """The points; or None, why there are none, and whether it is worth asking again soon.

        Where nobody has asked before, they are made in a thread of their own.
        """
        info, recommender = self._columns()[0].question(lambda found: found)
        if recommender is None:
            return None, info.message, info.state == "loading"
        with self._lock:
            if self._of is not recommender:
                self._of, self._points, self._problem = recommender, None, ""
                self._maker = threading.Thread(
                    target=self._make, args=(recommender,), name="make-map", daemon=True
                )
                self._maker.start()
            maker = self._maker
        maker.join(WAIT_S)
        if self._points is None and not self._problem:
            return None, tr(BEING_DRAWN), True
        return self._points, self._reason(tr_parts(recommender.model)), False

    def forget(self, column: Column) -> None:
        """Do not keep the model of a column from being let go: its map is made anew if opened."""
        _, recommender = column.question(lambda found: found)
        with self._lock:
            if self._of is recommender:
                self._of, self._points, self._problem = None, None, ""

    def _reason(self, model: str) -> str:
        """Why there is no map; "" where there is one."""
        problem = self._problem
        if problem in ("", NO_EMBEDDINGS, NOT_MADE):
            return tr(problem, model=model)
        return tr_reason(problem)

    def known(self, version: str) -> Points | None:
        """The points of this version, if they are those of now."""
        points = self._points
        return points if points is not None and points.version == version else None

    def marks(
        self, history: Sequence[Item], rows: dict[str, list[str]]
    ) -> tuple[list[Place | None], dict[str, list[Place | None]], Place | None]:
        """Where a history, the rows of lists and the user embedding are.

        Args:
            history: as recommenders take it, checked.
            rows: item ids by column.

        Raises:
            HLLMError: the model cannot read the history, or too many ask at once.
        """
        points = self._points
        if points is None:
            return [None] * len(history), {}, None
        model, projection = points.recommender, points.projection
        with place(self._asking):
            user = None
            if history:
                user = list(projection.place_of(model.user_embedding(history), model.nearest))
            chosen = [
                points.place(item)
                if isinstance(item, str)
                else list(projection.place_of(model.new_item(item).vector, model.nearest))
                for item in history
            ]
        return chosen, {key: [points.place(i) for i in ids] for key, ids in rows.items()}, user

    def _make(self, recommender: ItemRanker) -> None:
        points, problem = None, ""
        try:
            points = self._points_of(recommender)
            if points is None:
                problem = NO_EMBEDDINGS
        except (CatalogError, HLLMError) as error:
            logger.warning("There is no map: %s", error)
            problem = str(error)
        except Exception:
            logger.exception("The map could not be made")
            problem = NOT_MADE
        with self._lock:
            if self._of is recommender:  # otherwise another one has been chosen meanwhile
                self._points, self._problem = points, problem

    def _points_of(self, recommender: ItemRanker) -> Points | None:
        projection = recommender.projection()
        if projection is None:
            return None
        points = Points(recommender, projection, *self._colours(recommender))
        assert points.version and points.ids  # computed here, not while a visitor waits
        return points

    def _colours(self, recommender: ItemRanker) -> tuple[list[str], np.ndarray]:
        """Names of the categories that have a colour, and which of them each row has."""
        names = [name for name, _ in self._catalog.categories(MAX_COLOURS)]
        colours = np.full(recommender.num_items, len(names), dtype=np.uint8)
        filters = FilterRows(self._catalog)
        # The largest first: of an item with several, the narrower one says more.
        for number, name in enumerate(names):
            colours[filters.rows(ItemFilter(category=name), recommender)] = number
        return [*names, OTHERS], colours
