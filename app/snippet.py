"""Lines of Python that give the page's first list again, for the history that is shown.

Visitors of a public server see them. Of where files lie, they are told no more than what they have
themselves: a path within this project, or the last name of any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.catalog import ItemFilter
from app.catalog.address import Address, Place
from app.columns import LIST_LENGTH, Column, ColumnInfo
from app.languages import tr
from app.service import Answer
from app.settings import ROOT
from hllm.serving.precision import LOW_BITS_FROM_PARAMETERS

MAX_LINE = 100


@dataclass(frozen=True)
class Snippet:
    """Python for a history, or why there is none.

    Attributes:
        code: lines of Python; "" where there are none.
        hint: where they run and what they need, or why there are none, as sentences.
    """

    code: str
    hint: str


def make_snippet(
    columns: Sequence[Column], answer: Answer, item_filter: ItemFilter, catalog: Place
) -> Snippet:
    """Python that gives the list of the first HLLM.

    Args:
        columns: of the page.
        answer: of these columns.
        item_filter: what may be recommended.
        catalog: of which nobody is told where a database is.
    """
    stages = [found.info.stages is not None for found in answer.columns]
    at = stages.index(True) if any(stages) else 0
    column, info, result = columns[at], answer.columns[at].info, answer.columns[at].result
    if column.model_folder is None or info.stages is None or result is None:
        none = tr("There is no HLLM in these columns that a program could open like this.")
        return Snippet("", info.message or none)
    opened = [_shown(column.model_folder)]
    if column.embeddings is not None:
        opened.append(f"embeddings={_shown(column.embeddings)}")
    if _needs_precision(info):
        opened.append(f"precision={info.precision!r}")
    history = [repr(item) for item in answer.items]
    how = f"top_k={LIST_LENGTH}" + (", allowed=allowed" if item_filter else "")
    imports, allowed = ["from hllm import Recommender"], []
    if item_filter:
        imports = [
            "from app.catalog import ItemFilter, open_catalog",
            "from app.catalog.address import place_of",
            "from app.filter_rows import FilterRows",
            *imports,
        ]
        allowed = [
            f"catalog = open_catalog(place_of({_shown(catalog)}))",
            f"wanted = {_written(item_filter)}",
            "allowed = FilterRows(catalog).rows(wanted, recommender)",
        ]
    lines = [
        *imports,
        "",
        f"recommender = Recommender.from_pretrained({', '.join(opened)})",
        *allowed,
        f"found = recommender.recommend({_listed(history, how)}, {how})",
        "for item in found.items:",
        "    print(item.rank, item.item_id, round(item.score, 3))",
    ]
    files = [path for path in (column.model_folder, column.embeddings) if path is not None]
    places: list[Place] = [*files, *([catalog] if item_filter else [])]
    return Snippet("\n".join(lines) + "\n", _hint(places, info.title))


def _hint(files: list[Place], title: str) -> str:
    """Where the lines run, and what has to be there."""
    said = tr(
        "Run it in a checkout of this project: it gives the list of {model} that you see.",
        model=title,
    )
    if all(_within(path) is not None for path in files):
        return said
    own = tr("Put your own path where a name stands alone: the file or folder of that name.")
    return f"{said} {own}"


def _needs_precision(info: ColumnInfo) -> bool:
    """Whether another machine might choose another precision; see hllm.serving.precision."""
    assert info.stages is not None
    large = info.stages.user.num_parameters >= LOW_BITS_FROM_PARAMETERS
    return large or info.precision != "fp32"


def _within(path: Place) -> str | None:
    """A path within this project; None for any other, and for a database."""
    if isinstance(path, Address):
        return None
    try:
        return path.resolve().relative_to(ROOT.resolve()).as_posix()
    except ValueError:
        return None


def _shown(path: Place) -> str:
    if isinstance(path, Address):
        return repr("postgresql://")
    return repr(_within(path) or path.resolve().name)


def _listed(values: list[str], rest: str) -> str:
    """A list of Python, over several lines where it is long with the rest of its line."""
    line = f"[{', '.join(values)}]"
    if len(f"found = recommender.recommend({line}, {rest})") <= MAX_LINE:
        return line
    return "[\n" + "".join(f"    {value},\n" for value in values) + "]"


def _written(item_filter: ItemFilter) -> str:
    values = {
        "category": item_filter.category or None,
        "min_price": item_filter.min_price,
        "max_price": item_filter.max_price,
    }
    given = (f"{key}={value!r}" for key, value in values.items() if value is not None)
    return f"ItemFilter({', '.join(given)})"
