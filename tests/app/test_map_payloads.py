from dataclasses import replace

import pytest

from app.map_payloads import map_item_payload, map_marks_payload, map_payload
from hllm.errors import UnknownItemError


@pytest.fixture
def opened(service):
    return map_payload(service)


def test_what_a_page_needs_to_draw_the_map(service, opened):
    assert opened["state"] == "ready" and opened["method"] == "PCA"
    assert opened["count"] == 40 and len(opened["categories"]) > 1
    assert opened["points"] == f"map/points?v={opened['version']}"
    assert opened["script"].startswith("map/script?v=")


def test_while_the_model_loads_there_is_a_sentence(tmp_path, new_service, new_items):
    found = map_payload(new_service(tmp_path / "c.db", new_items(5), loaded=False))
    assert found["state"] == "later" and found["message"] and found["points"] == ""


def test_a_point_is_an_item(service, opened):
    found = map_item_payload(service, {"version": opened["version"], "point": 7})
    assert (found["id"], found["title"]) == ("book-007", "Book number 7")


@pytest.mark.parametrize("point", [-1, 40, 10**30, True, 1.0, "1", None, [1]])
def test_what_is_no_point_is_nothing(service, opened, point):
    assert map_item_payload(service, {"version": opened["version"], "point": point}) is None


@pytest.mark.parametrize("raw", [None, [], {}, {"version": 1}, {"version": "0" * 16, "point": 1}])
def test_a_point_of_other_points_is_nothing(service, opened, raw):
    assert map_item_payload(service, raw) is None


def test_marks_are_of_what_counts_of_a_history(service, opened):
    found = map_marks_payload(
        service,
        {"history": ["book-001", "nobody", 5], "rows": {"hllm": ["book-002"], "other": ["x"]}},
    )
    assert len(found["history"]) == 1 and len(found["user"]) == 2
    assert list(found["rows"]) == ["hllm"]


@pytest.mark.parametrize("raw", [None, [], {"history": 3, "rows": 3}, {"rows": {"hllm": {}}}])
def test_nonsense_marks_nothing(service, opened, raw):
    assert map_marks_payload(service, raw) == {"history": [], "rows": {}, "user": None}


def test_a_history_that_the_model_cannot_read_marks_nothing(
    service, opened, monkeypatch, fake_recommender
):
    def fail(self, history):
        raise UnknownItemError("No embedding.")

    monkeypatch.setattr(fake_recommender, "user_embedding", fail)
    found = map_marks_payload(service, {"history": ["book-001"], "rows": {}})
    assert found == {"history": [], "rows": {}, "user": None}


def test_without_categories_no_point_is_of_another_one(tmp_path, new_service, new_items):
    items = [replace(item, categories=()) for item in new_items(12)]
    assert map_payload(new_service(tmp_path / "c.db", items))["categories"] == ["items"]
