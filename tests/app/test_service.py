import re
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from app.cards import make_card
from app.catalog import Catalog, CatalogItem, ItemFilter
from app.columns import COMPARE_DEPTH, Column, load_in_background
from app.errors import CatalogError
from app.examples import BOOK_EXAMPLES, book_examples, category_examples
from app.opening import open_service
from app.service import PAGE_SIZE, Service
from app.session import BrowseRequest, Click
from app.settings import Settings
from hllm.errors import CheckpointError, HLLMError

SESSION = "0123456789abcdef"


def events_of(service):
    service._events.flush()
    with closing(sqlite3.connect(service.catalog.path)) as connection:
        columns = "kind, model, item_ids, rank, session"
        return connection.execute(f"SELECT {columns} FROM events ORDER BY id").fetchall()


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


def test_built_in_models_obey_the_filter(tmp_path):
    service = open_service(Settings(data_dir=tmp_path))
    for column in service.columns:
        while not column.is_loaded:
            time.sleep(0.01)
    category, count = service.categories[-1]
    wanted = {item.item_id for item in service.catalog.iter_items() if category in item.categories}
    history = [service.catalog.popular(1)[0].item_id]
    answer = service.answer(history, SESSION, item_filter=ItemFilter(category=category))
    for column in answer.columns:
        assert column.result.num_candidates == count
        found = {item.item_id for item in column.result.items}
        assert found and found <= wanted - set(history)


def test_only_unknown_items_is_an_empty_history_with_a_notice(service):
    answer = service.answer(["gone"], SESSION)
    assert answer.popular and "not in this catalogue" in answer.notices[0]


def test_one_column_that_fails_leaves_the_other_alone(tmp_path, new_service, new_items):
    def missing():
        raise CheckpointError("No model here: train one.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    hllm, baseline = service.answer(["book-001"], SESSION).columns
    assert (hllm.result, hllm.info.state, hllm.info.message) == (
        None,
        "failed",
        "No model here: train one.",
    )
    assert len(baseline.result.items) == 11


def test_unexpected_error_is_said_without_its_text(tmp_path, new_service, new_items, caplog):
    def broken():
        raise RuntimeError("secret detail")

    service = new_service(tmp_path / "c.db", new_items(3), load_hllm=broken)
    message = service.answer(["book-001"], SESSION).columns[0].info.message
    assert "log" in message and "secret" not in message
    assert "secret detail" in caplog.text


def test_item_without_embedding_is_said_in_its_column(
    tmp_path, new_service, new_items, fake_recommender
):
    service = new_service(
        tmp_path / "c.db", new_items(12), load_hllm=lambda: fake_recommender("HLLM", ["book-000"])
    )
    hllm, baseline = service.answer(["book-001"], SESSION).columns
    assert "No embedding for item 'book-001'" in hllm.info.message
    assert baseline.result is not None


def test_page_works_while_a_model_loads(tmp_path, new_service, new_items, fake_recommender):
    gate = threading.Event()

    def slow():
        gate.wait(10)
        return fake_recommender("HLLM", [f"book-{n:03d}" for n in range(12)])

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=slow, loaded=False)
    thread = load_in_background(service.columns[::-1])
    while not service.columns[1].is_loaded:
        time.sleep(0.01)
    waiting = service.answer(["book-001"], SESSION)
    assert waiting.warming and "warming up" in waiting.columns[0].info.message
    assert waiting.columns[1].result is not None
    gate.set()
    thread.join(10)
    assert not service.answer(["book-001"], SESSION).warming


def test_what_is_shown_and_clicked_is_recorded(service):
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


def test_events_never_hold_a_click_up(service, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(service.catalog, "record_event", lambda **_: gate.wait(10))
    start = time.perf_counter()
    for _ in range(1200):
        service.record_click(Click("book-001", "browse", SESSION))
    assert time.perf_counter() - start < 2
    gate.set()


def test_event_that_fails_does_not_stop_the_next(service, monkeypatch):
    calls = []

    def fail(**event):
        calls.append(event)
        raise OSError("disk")

    monkeypatch.setattr(service.catalog, "record_event", fail)
    service.record_click(Click("a", "browse", SESSION))
    service.record_click(Click("b", "browse", SESSION))
    service._events.flush()
    assert [event["item_ids"] for event in calls] == [["a"], ["b"]]


def test_histories_do_not_mix(service):
    """The server keeps nothing of a visitor: the same question has the same answer in between."""
    before = service.answer(["book-001"], SESSION)
    service.answer(["book-020", "book-030"], "f" * 16)
    after = service.answer(["book-001"], SESSION)
    assert [c.result.items for c in before.columns] == [c.result.items for c in after.columns]


def test_card_is_drawn_without_pictures_and_never_from_the_network():
    item = CatalogItem(item_id="a", title=" T \n x ", image="https://example.com/a.jpg", year=-441)
    card = make_card(item)
    assert card.cover.startswith("data:image/svg+xml,")
    assert (card.title, card.year) == ("T x", "441 BC")
    assert make_card(CatalogItem(item_id="no-title")).title == "no-title"


def test_card_takes_pictures_from_the_folder_only(tmp_path):
    covers = tmp_path / "covers"
    covers.mkdir()
    (covers / "a.jpg").write_bytes(b"x")
    (covers / "b c.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")

    def cover(item_id, image=""):
        return make_card(CatalogItem(item_id=item_id, title="T", image=image), covers).cover

    assert re.fullmatch(r"covers\?item=a&v=[0-9a-f]{16}", cover("a"))
    assert cover("../x&y", image="b c.png").startswith("covers?item=..%2Fx%26y&v=")
    assert cover("x" * 305).startswith("data:") and cover("y", "z" * 305).startswith("data:")
    for item_id, image in [("../secret", ""), ("x", "../secret.png"), ("x", "https://h/a.jpg")]:
        assert cover(item_id, image).startswith("data:")


def test_examples_of_the_built_in_books_all_exist(tmp_path):
    service = open_service(Settings(data_dir=tmp_path))
    assert [example.name for example in service.examples] == list(BOOK_EXAMPLES)
    for example in service.examples:
        assert ids(example.cards) == list(BOOK_EXAMPLES[example.name])


def test_examples_leave_out_what_is_missing():
    assert book_examples(lambda item_ids: []) == []


def test_category_examples_are_telling_and_different(service):
    names = [example.name for example in service.examples]
    assert sorted(names) == ["Fantasy", "History", "Mystery", "Science Fiction"]
    assert category_examples([("All", 90), ("None", 1)], 100, lambda name: []) == []


def test_built_in_catalogue_is_kept_with_its_events(tmp_path):
    first = open_service(Settings(data_dir=tmp_path))
    first.record_click(Click(first.answer([], SESSION).popular[0].item_id, "popular", SESSION))
    num_events = len(events_of(first))
    assert num_events == 2
    assert len(events_of(open_service(Settings(data_dir=tmp_path)))) == num_events


def test_second_start_does_not_compare_all_texts_again(tmp_path, monkeypatch):
    read = []
    real = Catalog.iter_texts

    def counting(catalog):
        for pair in real(catalog):
            read.append(pair)
            yield pair

    monkeypatch.setattr(Catalog, "iter_texts", counting)
    counts = []
    for _ in range(2):
        read.clear()
        service = open_service(Settings(data_dir=tmp_path))
        for column in service.columns:
            while not column.is_loaded:
                time.sleep(0.01)
        counts.append(len(read) / service.num_items)
    # The first start has just made the catalogue; each later one compares it with the program's
    # books. The models' two readings come on top only once.
    assert counts == [2, 1]


def test_damaged_built_in_catalogue_is_made_anew(tmp_path):
    (tmp_path / "books.db").write_bytes(b"no database")
    assert open_service(Settings(data_dir=tmp_path)).num_items > 1000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"catalog": "missing.db"}, "There is no catalogue"),
        ({"catalog": "garbage.db"}, "cannot be read|not a catalogue|is damaged"),
        ({"model": "missing-model"}, "No HLLM model at"),
        ({"baseline": "missing.safetensors"}, "No item embeddings at"),
        ({"covers": "missing-covers"}, "There is no folder"),
    ],
)
def test_what_was_named_and_cannot_be_used_is_an_error(tmp_path, settings, message):
    (tmp_path / "garbage.db").write_bytes(b"x" * 5000)
    paths = {name: tmp_path / value for name, value in settings.items()}
    with pytest.raises(HLLMError, match=message):
        open_service(Settings(data_dir=tmp_path, **paths))


def test_catalogue_without_a_model_says_how_to_get_one(tmp_path, new_items):
    with Catalog.create(tmp_path / "c.db", name="Mine") as catalog:
        catalog.add_items(new_items(5))
    service = open_service(Settings(catalog=tmp_path / "c.db"))
    for column in service.columns:
        while not column.is_loaded:
            time.sleep(0.01)
    messages = [c.info.message for c in service.answer(["book-001"], SESSION).columns]
    assert "python -m hllm.train" in messages[0] and "--model" in messages[0]
    assert "--baseline" in messages[1]


def test_empty_catalogue_opens(tmp_path):
    Catalog.create(tmp_path / "c.db", name="Empty").close()
    service = Service(Catalog.open(tmp_path / "c.db"), [])
    assert service.answer([], SESSION).popular == []
    assert service.browse(BrowseRequest()).cards == []


def test_catalogue_that_disappears_is_an_error_with_a_way_on(service):
    service.catalog.path.unlink()
    with pytest.raises(CatalogError, match="restore it or import"):
        service.browse(BrowseRequest())


def test_column_waits_for_nobody():
    column = Column("hllm", "HLLM", lambda: pytest.fail("not to be loaded yet"))
    assert column.ask(["a"], 10).info.state == "loading"
