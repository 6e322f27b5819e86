"""The answers about one item: typed, bounded, and a sentence where there are none."""

import pytest

from app.api_items import explain_payload, item_payload, rank_payload, similar_payload
from app.columns import ColumnInfo
from app.detail import Details
from app.writing import Writer
from hllm.serving.request_batching import BusyError

HISTORY = ["book-001", "book-002"]
TEXTS = {"title": "A funny heist on Mars", "creator": "", "category": "", "description": ""}


def test_an_item_with_the_text_that_the_item_llm_is_given(service):
    found = item_payload(Details(service), "book-007")
    stored = service.catalog.get(["book-007"])["book-007"]
    assert (found["title"], found["year"]) == (stored.title, stored.year)
    assert found["text"] == f"title: {stored.title}" and found["num_tokens"] > 0
    assert found["categories"] == list(stored.categories) and not found["is_cut"]


def test_the_nearest_items_of_both_models(service):
    for model, column in zip(
        similar_payload(Details(service), service, "book-007", 3)["models"],
        service.columns,
        strict=True,
    ):
        _, expected = column.question(lambda r: r.similar("book-007", 3))
        assert [(i["item_id"], i["cosine"]) for i in model["items"]] == [
            (near.item_id, round(near.cosine, 6)) for near in expected
        ]
        assert (model["name"], model["state"], model["message"]) == (column.title, "ready", "")
        assert all(i["title"].startswith("Book number") for i in model["items"])


def test_the_change_without_each_item_of_the_history(service):
    models = explain_payload(Details(service), HISTORY, "book-007")["models"]
    expected = service.columns[0].question(lambda r: r.explain(HISTORY, "book-007"))[1]
    assert [(i["item_id"], i["change"]) for i in models[0]["items"]] == [
        (found.item_id, round(found.change, 6)) for found in expected
    ]
    assert [i["title"] for i in models[1]["items"]] == ["Book number 1", "Book number 2"]


def test_where_a_text_would_stand(service):
    hllm, baseline = rank_payload(Writer(service), service, HISTORY, TEXTS)["models"]
    expected = service.columns[0].question(lambda r: r.rank_of(HISTORY, {"title": TEXTS["title"]}))[
        1
    ]
    assert (hllm["rank"], hllm["num_ranked"]) == (expected.rank, expected.num_ranked)
    assert hllm["score"] == round(expected.score, 6)
    assert hllm["items"] and baseline["items"]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: item_payload(Details(s), "nothing"), "no item 'nothing'"),
        (lambda s: item_payload(Details(s), ["book-001"]), "item_id must be a text"),
        (lambda s: item_payload(Details(s), "x" * 10**6), "search finds items"),
        (lambda s: similar_payload(Details(s), s, "nothing", 3), "no item 'nothing'"),
        (lambda s: similar_payload(Details(s), s, "book-001", 101), "from 1 to 100"),
        (lambda s: similar_payload(Details(s), s, None, 3), "item_id must be a text"),
        (lambda s: explain_payload(Details(s), ["book-001"], "book-007"), "two items"),
        (lambda s: explain_payload(Details(s), HISTORY, "book-001"), "not in the history"),
        (lambda s: explain_payload(Details(s), HISTORY, "nothing"), "an item of it"),
        (lambda s: explain_payload(Details(s), "book-001", "book-007"), "a list of item ids"),
        (lambda s: rank_payload(Writer(s), s, [], TEXTS), "no item of this catalogue"),
        (lambda s: rank_payload(Writer(s), s, HISTORY, {**TEXTS, "title": " "}), "needs a title"),
        (lambda s: rank_payload(Writer(s), s, HISTORY, {**TEXTS, "title": 7}), "must be a text"),
        (
            lambda s: rank_payload(Writer(s), s, HISTORY, {**TEXTS, "title": "x" * 201}),
            "at most 200",
        ),
    ],
)
def test_a_mistake_is_one_short_sentence(service, ask, words):
    with pytest.raises(ValueError, match=words) as caught:
        ask(service)
    assert len(str(caught.value)) < 250 and "\n" not in str(caught.value)


def test_a_model_that_is_not_there_says_why(tmp_path, new_service, new_items):
    def missing():
        raise OSError("No model here.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    hllm, baseline = similar_payload(Details(service), service, "book-001", 3)["models"]
    assert hllm["state"] == "failed" and hllm["message"] and hllm["items"] == []
    assert len(baseline["items"]) == 3


def test_what_encodes_texts_is_still_loading(service, monkeypatch):
    writer = Writer(service)
    loading = ColumnInfo("hllm", "HLLM", "loading", "Wait.")
    monkeypatch.setattr(writer, "prepare", lambda: loading)
    with pytest.raises(BusyError, match="Wait"):
        rank_payload(writer, service, HISTORY, TEXTS)
