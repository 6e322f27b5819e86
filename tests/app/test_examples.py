"""Example histories: telling ones, of items that exist."""

from app.examples import BOOK_EXAMPLES, MAX_ITEMS, NUM_EXAMPLES, book_examples, catalog_examples
from tests.app.page_html import card


def test_examples_leave_out_what_is_missing():
    assert book_examples(lambda item_ids: []) == []


def test_category_examples_are_telling_and_different(service):
    names = [example.name for example in service.examples]
    assert sorted(names) == ["Fantasy", "History", "Mystery", "Science Fiction"]
    assert catalog_examples([("All", 90), ("None", 1)], 100, lambda name: []) == []


def test_an_example_needs_two_of_its_books_and_keeps_their_order():
    ids = [*BOOK_EXAMPLES["Out into space"][1:3], BOOK_EXAMPLES["Dragons and wizards"][0]]
    examples = book_examples(lambda wanted: [card(i) for i in wanted if i in ids])
    assert [(e.name, [c.item_id for c in e.cards]) for e in examples] == [
        ("Out into space", ids[:2])
    ]


def test_a_category_with_half_of_the_items_says_nothing():
    categories = [("All", 100), ("Just half", 50), ("More than half", 51), ("Few", 3)]
    examples = catalog_examples(categories, 100, lambda name: [card(name + n) for n in "xyz"])
    assert [example.name for example in examples] == ["Just half", "Few"]


def test_nested_categories_do_not_repeat_their_items():
    popular = {"Games": "abcdef", "Board games": "abcdgh", "Card games": "abcdefgh"}
    categories = [("Card games", 8), ("Games", 20), ("Board games", 10)]
    examples = catalog_examples(categories, 100, lambda name: [card(i) for i in popular[name]])
    found = [(e.name, "".join(c.item_id for c in e.cards)) for e in examples]
    assert found == [("Games", "abcd"), ("Board games", "gh"), ("Card games", "ef")]


def test_there_are_not_too_many_and_equal_sizes_go_by_name():
    categories = [(f"c{n:02}", 5) for n in reversed(range(20))]
    examples = catalog_examples(
        categories, 100, lambda name: [card(f"{name}{n}") for n in range(9)]
    )
    assert [example.name for example in examples] == [f"c{n:02}" for n in range(NUM_EXAMPLES)]
    assert {len(example.cards) for example in examples} == {MAX_ITEMS}


def test_without_telling_categories_it_is_what_is_popular_and_something_is_left():
    def examples(num_items, categories=()):
        made = catalog_examples(categories, num_items, lambda name: [card(n) for n in "abcdefgh"])
        return [(example.name, len(example.cards)) for example in made]

    assert examples(100) == [("Often chosen", MAX_ITEMS)]
    assert examples(100, [("All", 90)]) == [("Often chosen", MAX_ITEMS)]
    assert examples(5) == [("Often chosen", 2)]
    assert examples(3) == []
