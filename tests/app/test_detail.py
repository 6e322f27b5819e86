"""What the drawer is told of an item, and what it is told where something is missing."""

import pytest

from app import detail
from app.catalog import CatalogItem
from app.detail import Details
from hllm.errors import CheckpointError
from hllm.serving.request_batching import BusyError


def test_everything_about_an_item_for_a_history(service):
    found = Details(service).find("book-007", ["book-001", "gone", "book-002"])
    assert found.item.description == "What happens in book 7."
    assert found.history == ("book-001", "book-002")
    assert found.text.text == "title: Book number 7"
    assert found.explains == "now"
    assert len(found.embedding) == detail.NUMBERS_SHOWN and found.embedding[0] == -1
    for column, answered in zip(found.columns, service.columns, strict=True):
        result = answered.ask(found.history, 100).result
        ranks = {item.item_id: (item.rank, item.score) for item in result.items}
        assert (column.rank.rank, column.rank.score) == ranks["book-007"]
        assert column.rank.num_ranked == 38
        assert len(column.similar) == detail.NUM_SIMILAR
        assert {near.item_id for near in column.similar} <= found.cards.keys()


@pytest.mark.parametrize("history", [[], None, ["book-007"], ["book-001", "book-007"]])
def test_what_is_not_ranked_has_no_rank_and_no_explanation(service, history):
    found = Details(service).find("book-007", history)
    assert [column.rank for column in found.columns] == [None, None]
    assert all(column.similar for column in found.columns)
    assert found.explains == "no"
    assert Details(service).explain("book-007", history) is None


def test_one_item_of_history_gives_ranks_but_nothing_to_leave_out(service):
    found = Details(service).find("book-007", ["book-001"])
    assert all(column.rank for column in found.columns)
    assert found.explains == "no"
    assert Details(service).explain("book-007", ["book-001"]) is None


def test_item_that_is_gone_is_none(service):
    assert Details(service).find("gone", ["book-001"]) is None
    assert Details(service).explain("gone", ["book-001", "book-002"]) is None


def test_explanation_is_that_of_each_recommender_and_its_largest_is_1(service):
    history = ["book-001", "book-002", "book-003"]
    found = Details(service).explain("book-007", history)
    assert [card.item_id for card in found.history] == history
    for (_, changes), column in zip(found.columns, service.columns, strict=True):
        assert changes == column.question(lambda r: r.explain(history, "book-007"))[1]
    scaled = found.scaled_changes
    first = {change.item_id: change.change for change in found.columns[0][1]}
    assert max(map(abs, scaled.values())) == 1
    assert all(scaled[item_id] * first[item_id] >= 0 for item_id in history)


def test_a_large_model_explains_on_request(service):
    service.columns[0].question(lambda r: setattr(r, "explains_at_once", False))
    assert Details(service).find("book-007", ["book-001", "book-002"]).explains == "request"


def test_a_column_that_fails_leaves_the_other_alone(tmp_path, new_service, new_items):
    def missing():
        raise CheckpointError("No model here: train one.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    history = ["book-001", "book-002"]
    found = Details(service).find("book-007", history)
    assert found.columns[0].info.message == "No model here: train one."
    assert found.columns[1].rank is not None and found.text is None
    assert found.explains == "now"
    explained = Details(service).explain("book-007", history)
    assert explained.columns[0][1] is None and len(explained.scaled_changes) == 2


def test_nobody_answers_while_everything_loads(tmp_path, new_service):
    service = new_service(tmp_path / "c.db", [CatalogItem(item_id="a")], loaded=False)
    found = Details(service).find("a", [])
    assert found.explains == "no" and "warming up" in found.columns[0].info.message


def test_too_many_at_once_are_told_so(service, monkeypatch):
    monkeypatch.setattr("app.places.MAX_WAIT_S", 0.01)
    details = Details(service)
    question = ("book-007", ["book-001", "book-002"])
    with details._explaining:
        assert details.find(*question) is not None  # a long explanation holds nobody else up
        with pytest.raises(BusyError, match="try again"):
            details.explain(*question)
    with details._finding, details._finding, pytest.raises(BusyError, match="try again"):
        details.find(*question)
    assert details.find(*question) is not None and details.explain(*question) is not None


def test_pushes_are_the_falls_of_the_explanations(service):
    details, history = Details(service), ["book-001", "book-002", "book-003"]
    rows = {"hllm": ["book-007", "book-009", "book-001"], "baseline": ["book-011"]}
    found = details.pushes(history, rows)
    assert found.keys() <= {"hllm", "baseline"}
    for column in service.columns:
        changes = {
            (change.item_id, row): change.change
            for row in rows[column.key]
            if row not in history
            for change in column.question(lambda r, row=row: r.explain(history, row))[1]
        }
        falls = {pair: -change for pair, change in changes.items() if change < 0}
        largest = max(falls.values(), default=1)
        assert {
            (item, row): share
            for item, by_row in found.get(column.key, {}).items()
            for row, share in by_row.items()
        } == {pair: pytest.approx(fall / largest, abs=1e-3) for pair, fall in falls.items()}


def test_nothing_is_pushed_where_that_would_take_long_or_cannot_be_told(service):
    details, rows = Details(service), {"hllm": ["book-007"], "baseline": ["book-007", "gone"]}
    assert details.pushes(["book-001"], rows) == {}  # nothing would be left
    service.columns[0].question(lambda r: setattr(r, "explains_at_once", False))
    assert details.pushes(["book-001", "book-002"], rows) == {}


def test_a_history_is_read_anew_by_hllm(service):
    assert Details(service).read_whole(["book-001", "book-002"]).num_read == 2
    assert Details(service).read_whole([]) is None


def test_during_a_blind_test_no_column_is_asked(service):
    asked = [column._recommender.calls for column in service.columns]
    before = [len(calls) for calls in asked]
    found = Details(service).find("book-007", ["book-001", "book-002"], is_blind=True)
    assert [len(calls) for calls in asked] == before
    assert (found.columns, found.explains, found.is_blind) == ([], "no", True)
    assert found.text is not None and found.item.item_id == "book-007"


def test_a_model_without_neighbours_ranks_all_the_same_and_says_why(
    service, monkeypatch, fake_recommender
):
    def none(self, item, top_k=10):
        if self.name == "Baseline":
            raise CheckpointError("Popularity knows no likeness of items.")
        return []

    monkeypatch.setattr(fake_recommender, "similar", none)
    found = Details(service).find("book-007", ["book-001", "book-002"])
    assert [column.rank is not None for column in found.columns] == [True, True]
    assert [column.no_similar for column in found.columns] == [
        "",
        "Popularity knows no likeness of items.",
    ]
