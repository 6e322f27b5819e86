"""The page's HTML as strings: every text that is not ours is escaped, nothing is read or kept.

The strings are values of gr.HTML or are put into the page by assets/page/*.js; they must not become
part of a gr.HTML *template*, in which `${...}` would be run as code.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from string import Template
from urllib.parse import quote

from app.cards import Card
from app.languages import marked, tr, tr_template
from app.session import MAX_HISTORY, MAX_SEARCH_CHARS, SORTS, BrowseRequest
from app.written import MAX_CHARS

MAX_TOOLTIP_CHARS = 300
NO_SERVER = marked(
    "There is no server: catalogue and models run in it, and nothing is sent or recorded."
)
_ADD = marked("Add")
_SHOW_EVERYTHING = marked("Show everything")


def add() -> str:
    """What a click on an item does, before its title, for those who hear it.

    No aria-label: it would have to repeat all that is seen, for those who say it (WCAG 2.5.3).
    """
    return f'<span class="unseen">{tr(_ADD)} </span>'


def text(value: object) -> str:
    """Escape a value for text and for quoted attributes."""
    return escape(str(value), quote=True)


def number(value: int) -> str:
    """Write a number with thin separators as in "16,859"."""
    return f"{value:,}"


def plural(count: int, noun: str, several: str = "") -> str:
    """Write a count with its noun, as in "1 item" or "1,024 items"."""
    several = several or noun + "s"
    one, more = f"{{count}} {noun}", f"{{count}} {several}"
    # Translations have one form: that of several.
    return tr(more if count != 1 or tr(more) != more else one, count=number(count))


def price(value: float) -> str:
    """Write a price without a currency, which no catalogue tells: "5", "12.50"."""
    return f"{value:,.2f}".removesuffix(".00")


def byline(card: Card) -> str:
    """What `byline_words` says, escaped."""
    return text(byline_words(card))


def byline_words(card: Card) -> str:
    """Creator, year and price, as far as they are known."""
    cost = "" if card.price is None else price(card.price)
    words = (card.creator, card.year, cost and tr("price {price}", price=cost))
    return " · ".join(part for part in words if part)


def item_data(card: Card, source: str) -> str:
    """The attributes of a link to an item, by which assets/page/page.js knows what was clicked.

    A click adds the item, as a button does; in a tab of its own the link opens the drawer
    (assets/page/drawer.js).
    """
    return (
        f'href="#item={link_of(card.item_id)}" draggable="false" '
        f'data-id="{text(card.item_id)}" data-title="{text(card.title)}" '
        f'data-creator="{text(card.creator)}" data-source="{text(source)}"'
    )


def link_of(item_id: str) -> str:
    """An item id as the part of an address; needs no escaping."""
    return quote(item_id, safe="")


def info_button(card: Card) -> str:
    """Opens the drawer about an item; stands beside the item's link, whose click adds it."""
    return (
        f'<button type="button" class="info" tabindex="-1" data-info="{text(card.item_id)}" '
        f'aria-label="{text(tr("Details of {title}", title=card.title))}" '
        f'title="{tr("Details")}">i</button>'
    )


def cover(card: Card, css_class: str = "cover") -> str:
    """The picture of an item; it says nothing that the text beside it does not say."""
    return (
        f'<img class="{css_class}" src="{text(card.cover)}" alt="" loading="lazy" '
        'decoding="async" width="200" height="300" draggable="false">'
    )


def render_cards(cards: Iterable[Card]) -> str:
    """The covers of the browse grid, as list items with one link each."""
    return "".join(
        f'<li><a role="button" class="card item" {item_data(card, "browse")} '
        f'title="{text(tooltip(card))}">{cover(card)}{add()}'
        f'<span class="card-title" lang="" dir="auto">{text(card.title)}</span>'
        f'<span class="card-by" dir="auto">{byline(card)}</span></a>{info_button(card)}</li>'
        for card in cards
    )


def render_no_cards(request: BrowseRequest, catalog_size: int) -> str:
    """What stands in the browse grid when there is nothing to show in it."""
    if catalog_size == 0:
        return _nothing(
            tr("This catalogue is empty."),
            tr("Import items with: {command}", command="python -m app.ingest --help"),
        )
    said = text(_nothing_found(request))
    return _nothing(
        said,
        tr("Try fewer or shorter words, or another category."),
        '<button type="button" class="button" data-action="reset-search">'
        f"{tr(_SHOW_EVERYTHING)}</button>",
    )


def _nothing_found(request: BrowseRequest) -> str:
    names = {"text": request.text, "category": request.category}
    if request.text and request.category:
        return tr("Nothing found “{text}” in {category}.", **names)
    if request.text:
        return tr("Nothing found “{text}”.", **names)
    return tr("Nothing found in {category}." if request.category else "Nothing found.", **names)


def _recorded(days: int) -> str:
    """What the server keeps of a visit, and how to have it deleted."""
    if not days:
        return tr("The server keeps nothing of what you see and click.")
    said = tr(
        "What is shown and clicked is counted under a random number, on this server only, and "
        "deleted after {days}.",
        days=plural(days, "day"),
    )
    return (
        f'{said} <button type="button" class="forget" data-action="forget">'
        f"{tr('Delete mine now')}</button> "
        '<span class="forgotten"></span>'
    )


def _by_server(days: int, has_server: bool) -> dict[str, str]:
    """What of the page depends on whether there is a server."""
    return {
        "recorded": _recorded(days) if has_server else tr(NO_SERVER),
        "needs_server": "" if has_server else "hidden",
        "without_server": "hidden" if has_server else "",
    }


def _category_options(categories: Sequence[tuple[str, int]]) -> str:
    return "".join(
        f'<option value="{text(name)}">{text(name)} ({number(count)})</option>'
        for name, count in categories
    )


def render_shell(
    template: str,
    *,
    catalog_name: str,
    catalog_key: str,
    catalog_size: int,
    categories: Sequence[tuple[str, int]],
    price_range: tuple[float, float] | None,
    has_popularity: bool = True,
    origin: str = "",
    events_days: int = 0,
    has_server: bool = True,
    catalogs: Mapping[str, str] | None = None,
) -> str:
    """Fill assets/page.html, the frame into which everything else is put.

    Args:
        template: the file's text, with $names in it.
        catalog_name: shown at the top.
        catalog_key: under which a browser keeps the history of this catalogue.
        catalog_size: number of items.
        categories: names with their numbers of items.
        price_range: lowest and highest price, None if nothing has one.
        has_popularity: whether it is known how popular items are.
        origin: what to know of where the data come from, a sentence; shown at the bottom.
        events_days: how long what was shown and clicked is kept; 0: it is not.
        has_server: False: what needs one is hidden, and a sentence says so (app.export_static).
        catalogs: keys of all catalogues by their names, the first one first; None: this is all.
    """
    low, high = price_range or (0.0, 0.0)
    return Template(tr_template(template)).substitute(
        catalog_name=text(catalog_name),
        catalog_key=text(catalog_key),
        catalogs=text(" ".join(f"{name}:{key}" for name, key in (catalogs or {}).items())),
        max_history=MAX_HISTORY,
        max_search_chars=MAX_SEARCH_CHARS,
        **{f"max_{name}": limit for name, limit in MAX_CHARS.items()},
        catalog_size=text(plural(catalog_size, "item")),
        origin=text(origin),
        **_by_server(events_days, has_server),
        category_options=_category_options(categories),
        category_hidden="" if categories else "hidden",
        prices_hidden="" if price_range else "hidden",
        popularity_hidden="" if has_popularity else "hidden",
        lowest_price=text(price(low)),
        highest_price=text(price(high)),
        sort_options="".join(
            f'<option value="{key}">{tr(label)}</option>' for key, label in SORTS.items()
        ),
    )


def tooltip(card: Card) -> str:
    """Title and the beginning of the description."""
    description = card.description
    if len(description) > MAX_TOOLTIP_CHARS:
        description = description[: MAX_TOOLTIP_CHARS - 1].rstrip() + "…"
    return f"{card.title}\n{description}" if description else card.title


def _nothing(headline: str, advice: str, button: str = "") -> str:
    return (
        f'<li class="nothing"><strong>{headline}</strong><span>{text(advice)}</span>{button}</li>'
    )
