import pytest

from app.api_payloads import model_payload, recommend_payload, search_payload
from app.errors import CatalogError

SESSION = "0123456789abcdef"


def test_recommend_endpoint(service):
    answer = recommend_payload(service, ["book-001", "gone"], 3)
    assert answer["history"] == ["book-001"]
    assert "not in this catalogue" in answer["notices"][0]
    for model in answer["models"]:
        assert [item["rank"] for item in model["items"]] == [1, 2, 3]
        assert model["num_candidates"] == 40
        assert all(item["title"].startswith("Book number") for item in model["items"])


def test_recommend_endpoint_shows_all_that_was_asked_for(service):
    models = recommend_payload(service, ["book-001"], 39)["models"]
    assert [len(model["items"]) for model in models] == [39, 39]


def test_recommend_endpoint_with_a_filter(service):
    models = recommend_payload(service, ["book-001"], 10, "Mystery", 5, 20)["models"]
    for model in models:
        assert {i["item_id"] for i in model["items"]} == {"book-006", "book-010", "book-018"}
        assert model["num_candidates"] == 3
    assert recommend_payload(service, ["book-001"], 3, "", None, 0)["models"][0]["items"]


@pytest.mark.parametrize(
    ("item_filter", "message"),
    [
        (("Nowhere", None, None), "There is no category 'Nowhere' in this catalogue"),
        (("", -1, None), "min_price must be a number"),
        (("", 9, 1), "must not be more than"),
    ],
)
def test_recommend_endpoint_refuses_a_senseless_filter(service, item_filter, message):
    with pytest.raises(ValueError, match=message):
        recommend_payload(service, ["book-001"], 10, *item_filter)


def test_endpoint_says_when_the_catalogue_is_gone(service):
    service.catalog.path.unlink()
    with pytest.raises(CatalogError, match="cannot be read"):
        recommend_payload(service, ["book-001"], 10)


@pytest.mark.parametrize(
    ("history", "top_k", "message"),
    [
        (["book-001"], 0, "from 1 to 100"),
        ([], 10, "at least one item_id"),
        (["gone"], 5, "at least one"),
    ],
)
def test_recommend_endpoint_refuses_with_a_reason(service, history, top_k, message):
    with pytest.raises(ValueError, match=message):
        recommend_payload(service, history, top_k)


def test_failed_model_is_said_in_the_endpoint(service):
    answer = service.answer(["book-001"], SESSION)
    failed = type(answer.columns[0])(answer.columns[0].info, None)
    assert model_payload(failed, answer, 5)["items"] == []


def test_search_endpoint(service):
    found = search_payload(service, "number 7", "", "popularity", "")
    assert found["items"][0]["item_id"] == "book-007"
    assert search_payload(service, "", "Mystery", "title", "")["total"] == 10
    with pytest.raises(ValueError, match="sort must be one of"):
        search_payload(service, "", "", "nonsense", "")
