"""A pick is judged by what both models had said before it, and all picks are counted honestly."""

import numpy as np
import pytest

from app.catalog.events import EventFile, PickSums
from app.errors import CatalogError
from app.event_log import EventLog
from app.scoreboard import FEWEST_VISITS, Scoreboard, estimate, model_score
from hllm.errors import CheckpointError
from hllm.serving.request_batching import BusyError

ONE, TWO = "0" * 16, "1" * 16


def ranks_of(service, history, item):
    """From the lists themselves."""
    found = {}
    for column in service.columns:
        items = column.ask(history, 100).result.items
        found[column.key] = next(i.rank for i in items if i.item_id == item)
    return found


def test_a_pick_is_judged_by_the_lists_before_it(service):
    board, history = Scoreboard(service), ["book-003", "book-001"]
    for item in ("book-007", "book-020"):
        verdict = board.judge(item, history, ONE)
        assert verdict.card.item_id == item
        found = {key: rank.rank for key, rank in verdict.ranks.items()}
        assert found == ranks_of(service, history, item)


@pytest.mark.parametrize(
    ("item", "history"),
    [("book-007", []), ("book-007", None), ("book-007", ["gone"]), ("gone", ["book-001"])],
)
def test_what_was_no_prediction_is_not_counted(service, item, history):
    board = Scoreboard(service)
    assert board.judge(item, history, ONE) is None
    assert board.judge("book-001", ["book-001", "book-002"], ONE) is None
    assert board.scores()["picks"] == 0


def test_both_models_must_have_answered(tmp_path, new_service, new_items):
    def missing():
        raise CheckpointError("No model here.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    assert Scoreboard(service).judge("book-007", ["book-001"], ONE) is None
    assert service.events.pick_sums(10) == []


def test_all_picks_of_all_visits_are_in_the_scores(service):
    board, ranks = Scoreboard(service), []
    for item, session in (("book-007", ONE), ("book-020", ONE), ("book-030", TWO)):
        board.judge(item, ["book-001"], session)
        ranks.append(ranks_of(service, ["book-001"], item))
    scores = board.scores()
    assert (scores["picks"], scores["visits"], scores["message"]) == (3, 2, "")
    for key, other in (("hllm", "baseline"), ("baseline", "hllm")):
        model = scores["models"][key]
        assert model["closer"] == sum(pick[key] < pick[other] for pick in ranks)
        hits = [pick[key] <= 10 for pick in ranks]
        assert model["hit"] == {"value": pytest.approx(np.mean(hits)), "low": None, "high": None}
        assert model["mrr"]["value"] == pytest.approx(np.mean([1 / pick[key] for pick in ranks]))
    assert service.events.forget([ONE]) == 2
    assert board.scores()["picks"] == 1


def test_nothing_is_kept_where_nothing_may_be(service, tmp_path):
    service.events = EventLog(EventFile(tmp_path / "none.db"), days=0)
    board = Scoreboard(service)
    assert board.judge("book-007", ["book-001"], ONE) is not None  # the visit has its own
    scores = board.scores()
    assert scores["picks"] == 0 and "keeps no picks" in scores["message"]
    assert not (tmp_path / "none.db").exists()


def test_an_interval_covers_the_truth_about_as_often_as_it_says():
    """Visits of different length and luck, 200 times."""
    random = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        picks = random.integers(1, 8, size=60)
        chances = random.beta(2, 4, size=60)  # of each visitor
        found = estimate(random.binomial(picks, chances).astype(float), picks)
        covered += found["low"] <= 2 / 6 <= found["high"]
    assert 0.88 <= covered / 200 <= 1.0


def test_an_interval_needs_some_visits():
    few = [PickSums(2, (1, 1), (1, 0), (0.5, 0.25))] * FEWEST_VISITS
    assert model_score(few[1:], 0)["hit"] == {"value": 0.5, "low": None, "high": None}
    enough = model_score(few, 1)
    assert enough == {
        "closer": 5,
        "hit": {"value": 0.0, "low": 0.0, "high": 0.0},
        "mrr": {"value": 0.125, "low": 0.125, "high": 0.125},
    }


def test_too_many_at_once_are_told_so(service, monkeypatch):
    monkeypatch.setattr("app.places.MAX_WAIT_S", 0.01)
    board = Scoreboard(service)
    with board._judging, board._judging, pytest.raises(BusyError):
        board.judge("book-007", ["book-001"], ONE)


def test_a_file_of_picks_that_cannot_be_read_is_an_error(service):
    service.events.flush()
    events = service.catalog.path.with_name(service.catalog.path.name + ".events.db")
    events.write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogError):
        Scoreboard(service).scores()
