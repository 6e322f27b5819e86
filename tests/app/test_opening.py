"""From settings to a running service, with the real books and models."""

import pytest

from app.catalog import Catalog, ItemFilter
from app.examples import BOOK_EXAMPLES
from app.opening import open_service
from app.session import Click
from app.settings import Settings
from hllm.errors import HLLMError
from tests.waiting import wait_until

SESSION = "0123456789abcdef"


def loaded(settings):
    """A service whose columns have finished loading, well or badly."""
    service = open_service(settings)
    wait_until(lambda: all(column.is_loaded for column in service.columns))
    return service


def test_built_in_models_obey_the_filter(tmp_path):
    service = loaded(Settings(data_dir=tmp_path))
    category, count = service.categories[-1]
    wanted = {item.item_id for item in service.catalog.iter_items() if category in item.categories}
    history = [service.catalog.popular(1)[0].item_id]
    answer = service.answer(history, SESSION, item_filter=ItemFilter(category=category))
    for column in answer.columns:
        assert column.result.num_candidates == count
        found = {item.item_id for item in column.result.items}
        assert found and found <= wanted - set(history)


def test_examples_of_the_built_in_books_all_exist(tmp_path):
    service = open_service(Settings(data_dir=tmp_path))
    assert [example.name for example in service.examples] == list(BOOK_EXAMPLES)
    for example in service.examples:
        assert [card.item_id for card in example.cards] == list(BOOK_EXAMPLES[example.name])


def test_built_in_catalogue_is_kept_with_its_events(tmp_path, events_of):
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
        service = loaded(Settings(data_dir=tmp_path))
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
    service = loaded(Settings(catalog=tmp_path / "c.db"))
    messages = [c.info.message for c in service.answer(["book-001"], SESSION).columns]
    assert "python -m hllm.train" in messages[0] and "--model" in messages[0]
    assert "--baseline" in messages[1]
