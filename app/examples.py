"""Example histories to start from, so that a first visitor sees answers after one click."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.cards import Card
from app.languages import marked, tr

NUM_EXAMPLES = 6
MIN_ITEMS = 2
MAX_ITEMS = 4

# Item ids of the built-in books in the order of reading; those that are not there are left out.
BOOK_EXAMPLES: dict[str, tuple[str, ...]] = {
    marked("Out into space"): (
        "the-hitchhikers-guide-to-the-galaxy-adams",
        "enders-game-card",
        "the-martian-weir",
        "dune-herbert",
    ),
    marked("Dragons and wizards"): (
        "the-hobbit-tolkien",
        "a-wizard-of-earthsea-le-guin",
        "eragon-paolini",
        "a-game-of-thrones-martin",
    ),
    marked("A body in the library"): (
        "the-murder-of-roger-ackroyd-christie",
        "the-hound-of-the-baskervilles-doyle",
        "gaudy-night-sayers",
        "and-then-there-were-none-christie",
    ),
    marked("Marriage and manners"): (
        "jane-eyre-bronte",
        "middlemarch-eliot",
        "emma-austen",
        "pride-and-prejudice-austen",
    ),
    marked("Big Brother is watching"): (
        "brave-new-world-huxley",
        "fahrenheit-451-bradbury",
        "the-handmaids-tale-atwood",
        "nineteen-eighty-four-orwell",
    ),
    marked("How the world works"): (
        "a-brief-history-of-time-hawking",
        "the-selfish-gene-dawkins",
        "sapiens-harari",
        "thinking-fast-and-slow-kahneman",
    ),
}
OFTEN_CHOSEN = marked("Often chosen")


@dataclass(frozen=True)
class Example:
    """A named history; its cards are in the order of the history."""

    name: str
    cards: tuple[Card, ...]

    @property
    def shown_name(self) -> str:
        """In the language of the page, but for names that are those of categories."""
        return shown_name(self.name)


def shown_name(name: str) -> str:
    """The name of an example as a visitor reads it."""
    return tr(name) if name in BOOK_EXAMPLES or name == OFTEN_CHOSEN else name


def book_examples(find: Callable[[Sequence[str]], Sequence[Card]]) -> list[Example]:
    """The examples for the built-in books.

    Args:
        find: gives the cards of those ids that exist, in the same order.
    """
    found = ((name, find(item_ids)) for name, item_ids in BOOK_EXAMPLES.items())
    return [
        Example(name, tuple(cards[:MAX_ITEMS])) for name, cards in found if len(cards) >= MIN_ITEMS
    ]


def catalog_examples(
    categories: Sequence[tuple[str, int]],
    num_items: int,
    popular_in: Callable[[str], Sequence[Card]],
) -> list[Example]:
    """Examples for any catalogue: what is popular in its larger categories, else in all of it.

    Args:
        categories: names with their numbers of items, in any order.
        num_items: size of the catalogue; a category with half of it says nothing and is skipped.
        popular_in: the most popular cards of a category, or of all items ("").
    """
    found = _category_examples(categories, num_items, popular_in)
    if found:
        return found
    # Something must be left to recommend.
    cards = popular_in("")[: min(MAX_ITEMS, num_items // 2)]
    return [Example(OFTEN_CHOSEN, tuple(cards))] if len(cards) >= MIN_ITEMS else []


def _category_examples(
    categories: Sequence[tuple[str, int]],
    num_items: int,
    popular_in: Callable[[str], Sequence[Card]],
) -> list[Example]:
    telling = [(name, count) for name, count in categories if count * 2 <= num_items]
    largest = sorted(telling, key=lambda pair: (-pair[1], pair[0]))[: 2 * NUM_EXAMPLES]
    examples: list[Example] = []
    used: set[str] = set()
    for name, _ in largest:
        # Nested categories have the same popular items: each example brings new ones.
        cards = [card for card in popular_in(name) if card.item_id not in used][:MAX_ITEMS]
        if len(cards) >= MIN_ITEMS and len(examples) < NUM_EXAMPLES:
            used.update(card.item_id for card in cards)
            examples.append(Example(name, tuple(cards)))
    return examples
