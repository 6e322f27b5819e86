import pytest

from app.catalog import Catalog, CatalogItem, ItemFilter
from app.catalog.events import EventFile, events_path
from app.columns import COMPARE_DEPTH
from app.errors import CatalogError
from app.service import PAGE_SIZE, Service
from app.session import BrowseRequest, Click, WhatIf

SESSION = "0123456789abcdef"


def ids(cards):
    return [card.item_id for card in cards]


def test_pages_follow_each_other_without_gap_or_repeat(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(100))
    first = service.browse(BrowseRequest(sort="title"))
    second = service.browse(BrowseRequest(sort="title", cursor=first.next_cursor))
    third = service.browse(BrowseRequest(sort="title", cursor=second.next_cursor))
    assert len(first.cards) == PAGE_SIZE and third.next_cursor is None
    assert sorted(ids(first.cards + second.cards + third.cards)) == [
        f"book-{n:03d}" for n in range(100)
    ]
    assert first.total == 100


def test_search_category_and_sort_reach_the_catalogue(service):
    assert ids(service.browse(BrowseRequest(text="number 17")).cards) == ["book-017"]
    mysteries = service.browse(BrowseRequest(category="Mystery", sort="newest")).cards
    assert ids(mysteries)[:2] == ["book-038", "book-034"] and len(mysteries) == 10


def test_search_puts_titles_before_descriptions(tmp_path, new_service):
    items = [
        CatalogItem(item_id="famous", title="Other", description="about dune", popularity=99),
        CatalogItem(item_id="named", title="Dune", popularity=1),
    ]
    service = new_service(tmp_path / "c.db", items)
    assert ids(service.browse(BrowseRequest(text="dune")).cards) == ["named", "famous"]


def test_damaged_cursor_starts_at_the_first_page(service):
    page = service.browse(BrowseRequest(cursor="not a cursor"))
    assert ids(page.cards) == ids(service.browse(BrowseRequest()).cards)


def test_empty_history_shows_popular_items(service):
    answer = service.answer([], SESSION)
    assert ids(answer.popular) == [f"book-{n:03d}" for n in range(10)]
    assert answer.columns == []


def test_both_columns_are_asked_for_a_hundred(service):
    answer = service.answer(["book-001", "book-002"], SESSION)
    assert ids(answer.history) == ["book-001", "book-002"]
    assert [column.info.key for column in answer.columns] == ["hllm", "baseline"]
    for column in answer.columns:
        assert len(column.result.items) == min(COMPARE_DEPTH, 38)
        assert {item.item_id for item in column.result.items[:10]} <= answer.cards.keys()
    assert not answer.warming


def test_both_columns_obey_the_filter(service):
    """Their rows are in different orders; each finds the same items."""
    item_filter = ItemFilter(category="Mystery", min_price=10.0, max_price=34.0)
    answer = service.answer(["book-001", "book-022"], SESSION, item_filter=item_filter)
    # Of 10, 14, ... 34, without 22 in the history and 14 and 34, whose price is not known.
    expected = {"book-010", "book-018", "book-026", "book-030"}
    for column in answer.columns:
        assert {item.item_id for item in column.result.items} == expected
        assert column.result.num_candidates == 5
    assert answer.cards.keys() == expected


def test_filter_that_allows_nothing_leaves_both_columns_empty(service):
    answer = service.answer(["book-001"], SESSION, item_filter=ItemFilter(min_price=1e9))
    assert [(c.result.items, c.result.num_candidates) for c in answer.columns] == [([], 0)] * 2


def test_filter_of_one_visitor_is_none_of_another(service):
    before = service.answer(["book-001"], SESSION)
    service.answer(["book-001"], "f" * 16, item_filter=ItemFilter(category="Mystery"))
    after = service.answer(["book-001"], SESSION)
    assert [c.result for c in before.columns] == [c.result for c in after.columns]


def test_filter_while_a_model_loads(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(12), loaded=False)
    answer = service.answer(["book-001"], SESSION, item_filter=ItemFilter(category="Mystery"))
    assert answer.warming and answer.columns[1].result is None


def test_only_unknown_items_is_an_empty_history_with_a_notice(service):
    answer = service.answer(["gone"], SESSION)
    assert answer.popular and "not in this catalogue" in answer.notices[0]


def test_what_is_shown_and_clicked_is_recorded(service, events_of):
    answer = service.answer(["book-001"], SESSION)
    service.record_click(Click("book-002", "hllm", SESSION, 4))
    events = events_of(service)
    assert [(kind, model) for kind, model, *_ in events] == [
        ("shown", "hllm"),
        ("shown", "baseline"),
        ("clicked", "hllm"),
    ]
    top = [item.item_id for item in answer.columns[0].result.items[:10]]
    assert all(item_id in events[0][2] for item_id in top)
    assert events[2][2:] == ('["book-002"]', 4, SESSION)


def test_a_click_that_is_told_again_and_a_question_asked_again_are_recorded_once(
    service, events_of
):
    click = Click("book-002", "browse", SESSION, None, "f" * 32)
    for question in ("1", "1", "2"):
        service.answer(["book-001"], SESSION, question=question)
        assert service.record_click(click)
    kinds = [(kind, model) for kind, model, *_ in events_of(service)]
    lists = [("shown", "hllm"), ("shown", "baseline")]
    assert kinds == [*lists, ("clicked", "browse"), *lists]
    assert service.record_click(Click("book-002", "browse", "b" * 32, None, "f" * 32))
    assert len(events_of(service)) == 6  # another visitor's


def test_a_click_is_acknowledged_when_it_is_stored_and_not_before(service, monkeypatch):
    def fail(self, events):
        raise CatalogError("The disk is full.")

    click = Click("book-002", "browse", SESSION, None, "f" * 32)
    with monkeypatch.context() as patch:
        patch.setattr(EventFile, "add", fail)
        assert not service.record_click(click)
    service.counts_picks = False
    assert service.record_click(Click("book-002", "hllm", SESSION, 1)), "never counted"
    service.counts_picks = True
    assert service.record_click(Click("no such book", "browse", SESSION)), "never counted"


def test_a_click_on_an_unknown_item_is_not_recorded(service, events_of):
    service.record_click(Click("book-002", "hllm", SESSION, 4))
    service.record_click(Click("no such book", "hllm", SESSION, 4))
    assert [item_ids for _, _, item_ids, *_ in events_of(service)] == ['["book-002"]']


def test_a_click_is_left_out_where_the_catalogue_cannot_be_read(service, caplog):
    service.catalog.path.unlink()
    assert not service.record_click(Click("book-002", "hllm", SESSION, 4))
    assert "A click is not recorded" in caplog.text and "cannot be read" in caplog.text
    service.events.flush()
    assert not events_path(service.catalog.path).exists()


def test_histories_do_not_mix(service):
    """The server keeps nothing of a visitor: the same question has the same answer in between."""
    before = service.answer(["book-001"], SESSION)
    service.answer(["book-020", "book-030"], "f" * 16)
    after = service.answer(["book-001"], SESSION)
    assert [c.result.items for c in before.columns] == [c.result.items for c in after.columns]


def test_empty_catalogue_opens(tmp_path):
    Catalog.create(tmp_path / "c.db", name="Empty").close()
    service = Service(Catalog.open(tmp_path / "c.db"), [])
    assert service.answer([], SESSION).popular == []
    assert service.browse(BrowseRequest()).cards == []


def test_catalogue_that_disappears_is_an_error_with_a_way_on(service):
    service.catalog.path.unlink()
    with pytest.raises(CatalogError, match="restore it or import"):
        service.browse(BrowseRequest())


def test_nothing_of_a_what_if_is_recorded(service, events_of):
    tried = service.answer(["book-001"], SESSION, what_if=WhatIf(0.5, 0.5))
    assert all(column.result.items for column in tried.columns)
    assert service.answer([], SESSION, what_if=WhatIf()).popular
    service.answer(["book-001"], SESSION)
    assert [kind for kind, *_ in events_of(service)] == ["shown", "shown"]  # the real one's


def test_sliders_re_rank_both_columns_each_by_its_own_rows(service):
    plain = service.answer(["book-001"], SESSION)
    off = service.answer(["book-001"], SESSION, what_if=WhatIf())
    assert [c.result for c in off.columns] == [c.result for c in plain.columns]
    for what_if in (WhatIf(diversity=0.6), WhatIf(less_popular=1.0), WhatIf(0.3, 0.3)):
        tried = service.answer(["book-001"], SESSION, what_if=what_if)
        for column, before in zip(tried.columns, plain.columns, strict=True):
            assert column.result.by_score == before.result.items
            assert column.result.items != before.result.items
            shown = {item.item_id for item in column.result.items[:10]}
            assert shown <= tried.cards.keys()


@pytest.fixture
def two(service, tmp_path, new_service, new_items, beside):
    other = new_service(tmp_path / "other.db", new_items(12), name="Other")
    return beside(books=service, games=other), other


@pytest.mark.parametrize("raw", [None, [], {}, {"catalog": None}, "games"])
def test_a_question_without_a_catalogue_is_of_the_first_one(two, raw):
    assert two[0].seen_with(raw) is two[0].in_catalog(raw) is two[0]


def test_a_question_is_answered_of_its_catalogue_alone(two, events_of):
    books, other = two
    seen = books.seen_with({"catalog": "games"})
    assert seen is other and seen.seen_with({"catalog": "books"}) is books
    books.answer(["book-001"], SESSION)
    before = events_of(books)
    answer = seen.answer(["book-001", "book-030"], SESSION)
    assert ids(answer.history) == ["book-001"]
    assert {event[0] for event in events_of(other)} == {"shown"}
    seen.record_click(Click("book-003", "browse", SESSION))
    assert ("clicked", "browse", '["book-003"]', None, SESSION) in events_of(other)
    assert events_of(books) == before


@pytest.mark.parametrize("name", ["gone", "", 3, ["games"], {"games": 1}, True])
def test_a_catalogue_that_is_not_there_is_never_answered_as_another(two, name):
    """A history would lose every item."""
    for ask in (two[0].in_catalog, two[0].seen_with):
        with pytest.raises(CatalogError, match="not installed"):
            ask({"catalog": name})
