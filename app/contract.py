"""What goes between the page and the server: the names of every payload.

assets/page/contract.js has these types for the scripts under the same names; a test holds the two
together. What a page sends can be anything, whatever the types here say: app.session checks it.
"""

from typing import TypedDict

from app.contract_models import ShownPayload


class ItemPayload(TypedDict):
    """An item of the history; the page sets its texts as text, never as markup."""

    id: str
    title: str
    creator: str
    cover: str


class WrittenPayload(TypedDict):
    """An item that a visitor has written, in the place of an item id; app.written checks it."""

    title: str
    creator: str
    category: str
    description: str


class FilterPayload(TypedDict):
    """Which items are recommended: "" and None mean: no bound."""

    category: str
    min_price: float | None
    max_price: float | None


class WhatIfPayload(TypedDict):
    """How the lists of a what-if are re-ranked, each from 0, off, to 1."""

    diversity: float
    less_popular: float


class AnswerRequest(TypedDict):
    """The page asks for recommendations.

    Attributes:
        version: grows with every request of a page; the answer carries it.
        history: item ids or written items, oldest first.
        filter: what may be recommended.
        session: random id of the browser tab.
        example: while the history is empty, answer for the first example.
        blind: seed of the blind test; "" where there is none.
        what_if: the history is one that is only tried, and nothing is recorded; None: it is real.
        models: names of the two that are to answer; None: those that the app was started with. So
            in every question below.
        known: the page holds titles and covers of the whole history; default: it does not.
    """

    version: int
    history: list[str | WrittenPayload]
    filter: FilterPayload
    session: str
    example: bool
    blind: str
    what_if: WhatIfPayload | None
    models: list[str] | None
    known: bool


class ExamplePayload(TypedDict):
    """A named history to start from."""

    name: str
    items: list[ItemPayload]


class StagePayload(TypedDict):
    """What computes one step, and its precision, device and size in words."""

    name: str
    facts: str


class HowPayload(TypedDict):
    """What an answer took: the numbers of the band "How it works".

    Attributes:
        stages: Item LLM, User LLM, search.
        width: numbers of an embedding.
        num_items: that have one.
        num_read, num_known: items of the history that the User LLM read now, or knew already.
        encode_ms, search_ms: of HLLM.
        num_candidates: items that were ranked.
        beside: the other column's model; "" where it has not answered.
        baseline_ms: of the other column, both steps; None where it has not answered.
        server_ms: of the whole answer, from the checked request on.
    """

    stages: list[StagePayload]
    width: int
    num_items: int
    num_read: int
    num_known: int
    encode_ms: float
    search_ms: float
    num_candidates: int
    beside: str
    baseline_ms: float | None
    server_ms: float


class AnswerPayload(TypedDict):
    """Everything that the page shows for a history.

    Attributes:
        version: of the request.
        history: the items that count, oldest first; None: those of the request, all of them known
            to the page.
        filter: the one that was applied.
        notices: what was left out of history and filter, as sentences.
        warming: a recommender is still loading: ask again soon.
        agreement: how far the columns agree, as text.
        live: what a screen reader says, and what stands above the columns.
        start: HTML in the columns' place while the history is empty, otherwise None.
        examples: histories that `start` offers by name.
        columns: HTML of each column by its key, of the one list of a blind test as "blind"; empty
            if the history is.
        example: name of the example whose history this is; "" for the visitor's own.
        how: what the answer took; None where no HLLM has answered.
        shown: which models have answered; None in a blind test, which tells no names.
    """

    version: int
    history: list[ItemPayload] | None
    filter: FilterPayload
    notices: list[str]
    warming: bool
    agreement: str
    live: str
    start: str | None
    examples: list[ExamplePayload]
    columns: dict[str, str]
    example: str
    how: HowPayload | None
    shown: ShownPayload | None


class ErrorPayload(TypedDict):
    """Why there is no answer to a request, as a sentence; busy: the page asks again by itself."""

    version: int
    error: str
    busy: bool


class FrameQuery(TypedDict):
    """The page asks for itself in another language than English, or of another catalogue.

    Every other question of a page may have both, too.

    Attributes:
        lang: "en" or "zh": what the server says is in this language; without it, in English.
        catalog: name of the catalogue that is asked about; without it, the first one.
    """

    lang: str
    catalog: str | None


class FramePayload(TypedDict):
    """The page in a language and of a catalogue.

    Attributes:
        shell: HTML of its frame.
        texts: what the scripts say, by the English sentence.
    """

    shell: str
    texts: dict[str, str]


class BrowseQuery(TypedDict):
    """The page asks for a part of the catalogue; cursor None is the first."""

    text: str
    category: str
    sort: str
    cursor: str | None


class BrowsePayload(TypedDict):
    """A part of the catalogue.

    Attributes:
        html: list items for the grid.
        cursor: of the part that follows, None if nothing does.
        count: how many items there are, or why there are none, as text.
    """

    html: str
    cursor: str | None
    count: str


class DetailQuery(TypedDict):
    """The page asks about an item, given a history as in AnswerRequest.

    Attributes:
        blind: during a blind test: nothing that tells how a model ranks the item.
    """

    item: str
    history: list[str | WrittenPayload]
    blind: bool
    models: list[str] | None


class DetailPayload(TypedDict):
    """What the drawer shows of an item.

    Attributes:
        title: of the item, or why there is nothing, as text.
        html: the rest of the drawer.
        explains: "now" or "request": when to ask why it is ranked where it is; "no": never.
        inside: HTML of its tokens and its embedding; "" where no HLLM has one.
    """

    title: str
    html: str
    explains: str
    inside: str


class WhyPayload(TypedDict):
    """Why an item is ranked where it is.

    Attributes:
        html: into the drawer.
        changes: for the items of the history: the score change if removed, the largest scaled to 1.
    """

    html: str
    changes: dict[str, float]


class WholeQuery(TypedDict):
    """The page asks to read a history anew, without what is known of it."""

    history: list[str | WrittenPayload]
    models: list[str] | None


class WholePayload(TypedDict):
    """What that took.

    Attributes:
        num_read: items that the User LLM read.
        encode_ms: that it took.
        cosine: of this user embedding and the one that was answered with.
        message: why there is none, as a sentence; mostly empty.
    """

    num_read: int
    encode_ms: float
    cosine: float
    message: str


class PushesQuery(TypedDict):
    """The page asks which rows of its lists the items of a history push: ids by column."""

    history: list[str | WrittenPayload]
    rows: dict[str, list[str]]
    models: list[str] | None


class PushesPayload(TypedDict):
    """By column, item of the history and row: by how much its score falls without the item.

    Only those that fall, the largest of a column scaled to 1.
    """

    pushes: dict[str, dict[str, dict[str, float]]]


class WriteRequest(TypedDict):
    """The page asks to encode an item that the visitor has written.

    Attributes:
        item: None: only load what encodes it.
        history: as in AnswerRequest.
        wish: the title is a wish in words: what is near it is wanted.
    """

    item: WrittenPayload | None
    history: list[str | WrittenPayload]
    wish: bool
    models: list[str] | None


class WritePayload(TypedDict):
    """What is known of a written item.

    Attributes:
        state: "ready"; "later": the same request may be answered soon; "refused": the texts are at
            fault; "failed": nothing can be encoded here.
        message: why there is nothing, as a sentence.
        item: as the history shows it; None where nothing was encoded.
        written: its texts as they were cleaned; None as above.
        html: into the drawer.
    """

    state: str
    message: str
    item: ItemPayload | None
    written: WrittenPayload | None
    html: str


class ClickPayload(TypedDict):
    """The page tells what was put into the history, and where it was found.

    Attributes:
        key: random id of this click: told again, it is kept once.
    """

    item_id: str
    source: str
    rank: int | None
    session: str
    key: str


class RecordPayload(TypedDict):
    """Whether the page need not tell it again: it is stored, or never will be."""

    is_settled: bool


class KeepQuery(TypedDict):
    """The page asks for what a visitor can take along of a history."""

    history: list[str | WrittenPayload]
    filter: FilterPayload
    models: list[str] | None


class KeepPayload(TypedDict):
    """Texts to take along.

    Attributes:
        json, csv: of files with the history and both lists.
        snippet: Python that gives the list of HLLM again; "" where there is none.
        hint: where it runs, or why there is none, as sentences.
        message: why there is nothing at all, as a sentence; mostly empty.
    """

    json: str
    csv: str
    snippet: str
    hint: str
    message: str


class ForgetRequest(TypedDict):
    """The page asks to delete what was recorded of its browser: the random ids of its tabs."""

    sessions: list[str]


class ForgetPayload(TypedDict):
    """What came of that, as a sentence."""

    message: str
