"""What the page asks of the map: where its points are, what is marked on it, which item one is."""

from typing import TypedDict

from app.contract import WrittenPayload

Place = list[float]  # two numbers; items are within -1 to 1, others may be beyond


class MapPayload(TypedDict):
    """What a page needs to draw the map; the points themselves are at an address.

    Attributes:
        state: "ready"; "later": it is being made, ask again soon; "none": there is none.
        message: why, as a sentence; what is to be said of a map that is ready, where anything is.
        method: "PCA" or "UMAP".
        count: number of points.
        categories: names by the number that points have; the last one is all others.
        version: of the points.
        points, script: addresses, for ever the same content.
    """

    state: str
    message: str
    method: str
    count: int
    categories: list[str]
    version: str
    points: str
    script: str


class MapMarksQuery(TypedDict):
    """The page asks where on the map a history and the rows of its lists are: ids by column."""

    history: list[str | WrittenPayload]
    rows: dict[str, list[str]]


class MapMarksPayload(TypedDict):
    """Places in the order of the query; null for what has none.

    Attributes:
        user: of the user embedding.
    """

    history: list[Place | None]
    rows: dict[str, list[Place | None]]
    user: Place | None


class MapItemQuery(TypedDict):
    """The page asks which item a point is: its number, in points of this version."""

    version: str
    point: int
