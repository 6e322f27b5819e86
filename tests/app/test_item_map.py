import numpy as np
import pytest

from app.catalog import CatalogItem
from app.item_map import OTHERS, ItemMap
from hllm.errors import CheckpointError
from tests.waiting import wait_until


def points_of(service):
    points, message, _ = service.item_map.open()
    assert message == ""
    return points


def test_points_are_the_rows_of_the_model(service):
    points = points_of(service)
    model = points.recommender
    assert len(points.data) == 5 * model.num_items
    numbers = np.frombuffer(points.data, "<u2", 2 * model.num_items).reshape(2, -1).T
    places = numbers / 65_535 * 2 - 1
    assert places == pytest.approx(model.projection().places.numpy(), abs=2 / 65_535)
    assert points.place("book-003") == pytest.approx(places[3].tolist(), abs=1e-4)
    assert points.place("nobody") is None


def test_a_point_has_the_colour_of_its_narrowest_category(tmp_path, new_service):
    items = [
        CatalogItem(item_id=f"{n}", title="x", categories=("All", "Few") if n < 2 else ("All",))
        for n in range(5)
    ]
    items.append(CatalogItem(item_id="none", title="x"))
    points = points_of(new_service(tmp_path / "c.db", items))
    assert points.categories == ["All", "Few", OTHERS]
    assert points.colours.tolist() == [1, 1, 0, 0, 0, 2]


def test_marks_are_where_the_items_and_the_user_are(service):
    points = points_of(service)
    model = points.recommender
    history = ["book-001", "book-002", {"title": "A funny heist on Mars"}]
    rows = {"hllm": ["book-005", "nobody"], "baseline": []}
    places, lists, user = service.item_map.marks(history, rows)
    assert places[:2] == [points.place("book-001"), points.place("book-002")]
    new = points.projection.place_of(model.new_item(history[2]).vector, model.nearest)
    assert places[2] == pytest.approx(list(new))
    assert lists == {"hllm": [points.place("book-005"), None], "baseline": []}
    embedding = model.user_embedding(history)
    assert user == pytest.approx(list(points.projection.place_of(embedding, model.nearest)))


def test_without_a_history_there_is_no_user(service):
    points_of(service)
    assert service.item_map.marks([], {}) == ([], {}, None)


def test_before_the_map_is_open_nothing_is_marked(service):
    assert service.item_map.marks(["book-001"], {}) == ([None], {}, None)


def test_only_points_of_now_are_known(service):
    assert service.item_map.known("") is None
    points = points_of(service)
    assert service.item_map.known(points.version) is points
    assert service.item_map.known("0" * 16) is None


def test_while_the_model_loads_the_page_shall_ask_again(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(5), loaded=False)
    points, message, is_coming = service.item_map.open()
    assert points is None and message and is_coming


def test_without_a_model_it_is_said_why(tmp_path, new_service, new_items):
    def fail():
        raise CheckpointError("There is no HLLM for this catalogue yet.")

    service = new_service(tmp_path / "c.db", new_items(5), load_hllm=fail)
    assert service.item_map.open() == (None, "There is no HLLM for this catalogue yet.", False)


def test_a_model_without_embeddings_has_no_map(service):
    found = ItemMap(lambda: service.columns[1:], service.catalog).open()
    assert found == (None, "fake Baseline has no embeddings that could be drawn.", False)


def test_a_map_that_fails_is_said_and_told_to_the_log(
    service, monkeypatch, caplog, fake_recommender
):
    monkeypatch.setattr(fake_recommender, "projection", lambda self: 1 / 0)
    _, message, is_coming = service.item_map.open()
    assert "could not be made" in message and not is_coming
    assert "ZeroDivisionError" in caplog.text


def test_the_map_follows_the_model_of_the_column(service, fake_recommender):
    first = points_of(service)
    other = fake_recommender("HLLM", [f"book-{n:03d}" for n in range(10)])
    service.columns[0]._recommender = other
    wait_until(lambda: service.item_map.open()[0] is not first)
    second = points_of(service)
    assert second.recommender is other and second.version != first.version


def test_a_model_that_is_let_go_is_not_kept_for_its_map(service):
    points = points_of(service)
    service.item_map.forget(service.columns[1])
    assert service.item_map.known(points.version) is points
    service.item_map.forget(service.columns[0])
    assert service.item_map.known(points.version) is None
    assert service.item_map.marks(["book-001"], {}) == ([None], {}, None)
    assert points_of(service).version == points.version
