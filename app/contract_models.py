"""What goes between the page and the server of the models to choose from; see app.contract."""

from typing import TypedDict


class ShownPayload(TypedDict):
    """Which models an answer is of.

    Attributes:
        left, right: their names, as a question may name them.
        left_title, right_title: for people.
        usual: the catalogue is shown with these two first.
        counts: what is picked counts for the scoreboard and the blind test.
    """

    left: str
    right: str
    left_title: str
    right_title: str
    usual: bool
    counts: bool


class OfferPayload(TypedDict):
    """A model that is installed.

    Attributes:
        name: as a question may name it.
        title: for people.
        does: what it does, in a line.
        numbers: recall@10 and ndcg@10, or that it was not evaluated.
        problem: why it cannot be chosen, as a sentence; mostly empty.
        remedy: the command that would change that; "" where the sentence names it.
    """

    name: str
    title: str
    does: str
    numbers: str
    problem: str
    remedy: str


class OffersPayload(TypedDict):
    """Everything that is installed; the message says why there is nothing."""

    offers: list[OfferPayload]
    message: str
