"""Two recommenders that load in the background; what one cannot do is said in its column."""

import threading

import pytest

from app.columns import Column, ColumnAnswer, load_in_background, ranks_of
from hllm.errors import CheckpointError
from tests.waiting import wait_until

SESSION = "0123456789abcdef"


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
    wait_until(lambda: service.columns[1].is_loaded)
    waiting = service.answer(["book-001"], SESSION)
    assert waiting.warming and "warming up" in waiting.columns[0].info.message
    assert waiting.columns[1].result is not None
    gate.set()
    thread.join(10)
    assert not service.answer(["book-001"], SESSION).warming


def test_column_waits_for_nobody():
    column = Column("hllm", "HLLM", lambda: pytest.fail("not to be loaded yet"))
    assert column.ask(["a"], 10).info.state == "loading"


def test_what_runs_is_named_once_it_is_loaded(fake_recommender):
    column = Column("hllm", "HLLM", lambda: fake_recommender("HLLM", ["a", "b"]))
    assert (column.info().state, column.info().num_items) == ("loading", 0)
    column.load_or_raise()
    info = column.info()
    assert (info.state, info.model, info.num_items, info.message) == ("ready", "fake HLLM", 2, "")


def test_what_somebody_named_must_load():
    def missing():
        raise CheckpointError("No model here.")

    column = Column("hllm", "HLLM", missing)
    with pytest.raises(CheckpointError, match="No model here"):
        column.load_or_raise()
    assert not column.is_loaded


def test_a_failure_on_one_history_leaves_the_column_ready(fake_recommender, caplog):
    class Moody(fake_recommender):
        def recommend(self, history, **options):
            if history == ["b"]:
                raise ZeroDivisionError("secret detail")
            return super().recommend(history, **options)

    column = Column("hllm", "HLLM", lambda: Moody("HLLM", ["a", "b", "c"]))
    column.load()
    broken = column.ask(["b"], 5)
    assert broken.result is None and "in the log" in broken.info.message
    assert "secret" not in broken.info.message and "secret detail" in caplog.text
    assert len(column.ask(["a"], 5).result.items) == 2


def test_rows_are_asked_for_each_recommender(fake_recommender):
    recommender = fake_recommender("HLLM", ["a", "b", "c"])
    column = Column("hllm", "HLLM", lambda: recommender)
    column.load()
    asked = []
    answer = column.ask(["a"], 5, lambda r: asked.append(r) or [0, 2])
    assert asked == [recommender]
    assert [item.item_id for item in answer.result.items] == ["c"]


def test_ranks_are_known_where_there_is_an_answer(fake_recommender):
    column = Column("hllm", "HLLM", lambda: fake_recommender("HLLM", list("abcd")))
    assert ranks_of(ColumnAnswer(column.info(), None)) is None
    column.load()
    answer = column.ask(["a"], 2)
    assert ranks_of(answer) == {
        answer.result.items[0].item_id: 1,
        answer.result.items[1].item_id: 2,
    }


def test_options_of_re_ranking_are_asked_for_each_recommender(fake_recommender):
    recommender = fake_recommender("HLLM", list("abcdefgh"))
    column = Column("hllm", "HLLM", lambda: recommender)
    column.load()
    asked = []
    plain = column.ask(["a"], 5)
    answer = column.ask(["a"], 5, None, lambda r: asked.append(r) or {"diversity": 1.0})
    assert asked == [recommender]
    assert answer.result.by_score == plain.result.items != answer.result.items
