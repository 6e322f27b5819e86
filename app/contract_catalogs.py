"""What goes between the page and the server of the catalogues to choose from; see app.contract."""

from typing import TypedDict


class CatalogModelPayload(TypedDict):
    """A model that a catalogue is shown with first.

    Attributes:
        title: for people.
        problem: why it cannot answer, as a sentence; mostly empty.
        remedy: the command that would change that; "" where the sentence names it.
    """

    title: str
    problem: str
    remedy: str


class CatalogPayload(TypedDict):
    """A catalogue that is installed.

    Attributes:
        name: as addresses and questions name it.
        title: for people.
        size: how many items it has, in words.
        models: that it is shown with first: left, right.
    """

    name: str
    title: str
    size: str
    models: list[CatalogModelPayload]


class CatalogsPayload(TypedDict):
    """Every catalogue that is installed, the first one first."""

    catalogs: list[CatalogPayload]
