"""What the page tells and asks of picks: the scoreboard's and the blind test's.

As app.contract, whose description in assets/page/contract.js holds these, too.
"""

from typing import TypedDict

from app.contract import FilterPayload, WrittenPayload


class PickRequest(TypedDict):
    """The page tells of an item that was picked from the catalogue, and the history before it.

    Attributes:
        key: random id of this pick: told again, it is kept once.
    """

    item: str
    history: list[str | WrittenPayload]
    session: str
    key: str


class VerdictPayload(TypedDict):
    """Where both models had ranked a picked item.

    Attributes:
        title: of the item, as text.
        ranks: by column, 1-based; None: approximate search has it behind the first num_ranked.
        num_ranked: by column.
        is_stored: otherwise the page tells it again.
    """

    item: str
    title: str
    ranks: dict[str, int | None]
    num_ranked: dict[str, int]
    is_stored: bool


class EstimatePayload(TypedDict):
    """A mean, and its 95% interval where there is enough for one."""

    value: float
    low: float | None
    high: float | None


class ModelScorePayload(TypedDict):
    """One model on all picks: how often it was closer, and its metrics."""

    closer: int
    hit: EstimatePayload
    mrr: EstimatePayload


class ScoresPayload(TypedDict):
    """The picks of all visits that are kept on the server.

    Attributes:
        models: by column.
        message: why there are none, as a sentence; mostly empty.
    """

    picks: int
    visits: int
    models: dict[str, ModelScorePayload]
    message: str


class BlindPickRequest(TypedDict):
    """The page tells of an item that was picked from the list of a blind test.

    Attributes:
        seed: of the test.
        history, filter: that the list was for.
        item: that was picked.
        position: where it stood in the list, from 1.
        withdrawn: the visitor has taken the pick back.
        session: random id of the browser tab.
    """

    seed: str
    history: list[str]
    filter: FilterPayload
    item: str
    position: int
    withdrawn: bool
    session: str


class BlindPickPayload(TypedDict):
    """For whom a pick counts.

    Attributes:
        team: key of the column whose model drafted the item; "": it does not count.
        message: why it does not, as a sentence; mostly empty.
        is_stored: otherwise the page tells it again.
    """

    team: str
    message: str
    is_stored: bool


class RevealQuery(TypedDict):
    """The page asks what the picks of a blind test say: their number by key of the column."""

    wins: dict[str, int]


class RevealPayload(TypedDict):
    """What they say, as two sentences: who won, and whether that can be chance."""

    result: str
    chance: str
