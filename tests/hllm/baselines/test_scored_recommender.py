"""What an ID model, item-kNN and popularity answer is what their evaluation would score."""

import numpy as np
import pytest
import torch

from hllm.baselines.counts import ItemKNN, Popularity
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.baselines.scored_recommender import (
    KNNRecommender,
    NoSuchAnswerError,
    PopularityRecommender,
    load_id_recommender,
)
from hllm.data import PAD_ID, Interactions
from hllm.errors import CheckpointError, UnknownItemError
from hllm.evaluation.scorers import IDModelScorer

IDS = [f"item-{number}" for number in range(30)]
HISTORY = ["item-3", "item-7", "item-1", "item-22"]


def interactions():
    rng = np.random.default_rng(0)
    sequences = [rng.choice(30, size=8, replace=False).astype(np.int64) + 1 for _ in range(200)]
    return Interactions([PAD_ID, *IDS], [str(n) for n in range(200)], np.arange(1, 201), sequences)


@pytest.fixture(params=["sasrec", "esasrec", "hstu", "id-llama", "sasrec by dot product"])
def id_folder(request, tmp_path):
    torch.manual_seed(0)
    kind, _, dot = request.param.partition(" ")
    config = IDModelConfig(
        kind=kind, num_items=31, hidden_size=16, num_heads=2, max_history=3, cosine=not dot
    )
    save_id_model(make_id_model(config), tmp_path / "id", [PAD_ID, *IDS])
    return tmp_path / "id"


def scores_of(scorer, ids=HISTORY):
    """What evaluation gives, without padding."""
    return scorer.score([np.array([IDS.index(i) + 1 for i in ids])])[0, 1:]


def id_scorer(folder):
    from hllm.baselines.id_models import load_id_model

    return IDModelScorer(load_id_model(folder)[0], name="id")


def same_order(recommender, scores):
    scores = scores.clone()
    scores[[IDS.index(i) for i in HISTORY]] = float("-inf")
    expected = [IDS[row] for row in scores.argsort(descending=True, stable=True)[:10]]
    found = recommender.recommend(HISTORY, top_k=10)
    assert [item.item_id for item in found.items] == expected
    assert [item.rank for item in found.items] == list(range(1, 11))
    for item in found.items:
        assert item.score == pytest.approx(float(scores[IDS.index(item.item_id)]), abs=1e-5)
        place = recommender.rank_of(HISTORY, item.item_id)
        assert (place.rank, place.num_ranked) == (item.rank, 26)


def test_an_id_model_ranks_as_it_is_evaluated(id_folder):
    recommender = load_id_recommender(id_folder)
    same_order(recommender, scores_of(id_scorer(id_folder)))


def test_counts_rank_as_they_are_evaluated():
    data = interactions()
    same_order(KNNRecommender(data), scores_of(ItemKNN(data)))
    popular = scores_of(Popularity(data))
    same_order(PopularityRecommender(data), popular / popular.max())


def test_leaving_one_out_is_scoring_without_it(id_folder):
    recommender, scorer = load_id_recommender(id_folder), id_scorer(id_folder)
    at, whole = IDS.index("item-9"), scores_of(scorer)
    changes = recommender.explain(HISTORY, "item-9")
    assert [change.item_id for change in changes] == HISTORY
    for change in changes:
        rest = [item for item in HISTORY if item != change.item_id]
        without = scores_of(scorer, rest)
        assert change.change == pytest.approx(float(without[at] - whole[at]), abs=1e-5)


def test_a_filter_and_the_sliders_are_obeyed():
    recommender, rows = KNNRecommender(interactions()), np.arange(0, 30, 2)
    found = recommender.recommend(HISTORY, top_k=5, allowed=rows, diversity=1.0)
    assert found.num_candidates == 15
    assert all(IDS.index(item.item_id) % 2 == 0 for item in found.items)
    assert found.by_score and found.rerank_cost(5).num_items == 5
    counts = np.arange(30)
    less = recommender.recommend(HISTORY, top_k=5, less_popular=1.0, popularity=counts)
    plain = recommender.recommend(HISTORY, top_k=5)
    mean = {n: np.mean([IDS.index(i.item_id) for i in f.items]) for n, f in
            (("less", less), ("plain", plain))}  # fmt: skip
    assert mean["less"] < mean["plain"]


def test_neighbours_are_those_of_the_model(id_folder):
    recommender = load_id_recommender(id_folder)
    near = recommender.similar("item-3", 4)
    assert "item-3" not in [found.item_id for found in near]
    vector = recommender.item_embedding("item-3")
    for found in near:
        assert found.cosine == pytest.approx(
            float(vector @ recommender.item_embedding(found.item_id)), abs=1e-5
        )
    knn = KNNRecommender(interactions()).similar("item-3", 4)
    assert [n.cosine for n in knn] == sorted((n.cosine for n in knn), reverse=True)


@pytest.mark.parametrize("make", [KNNRecommender, PopularityRecommender])
def test_what_a_kind_cannot_do_is_a_sentence(make):
    recommender = make(interactions())
    with pytest.raises(NoSuchAnswerError, match="by their number only"):
        recommender.recommend([*HISTORY, {"title": "A funny heist on Mars"}])
    for ask in (recommender.load_item_encoder, lambda: recommender.new_item({"title": "x"})):
        with pytest.raises(NoSuchAnswerError, match="by their number only"):
            ask()
    with pytest.raises(UnknownItemError, match="learned nothing of the item 'gone'"):
        recommender.recommend(["gone"])
    with pytest.raises(ValueError, match="empty"):
        recommender.recommend([])


def test_an_id_model_has_no_place_on_the_map(id_folder):
    model = load_id_recommender(id_folder)
    assert model.projection() is None
    for ask in (lambda: model.user_embedding(["item-1"]), lambda: model.nearest(None, 3)):
        with pytest.raises(NoSuchAnswerError, match="no embeddings that could be drawn"):
            ask()


def test_popularity_knows_no_likeness():
    recommender = PopularityRecommender(interactions())
    for ask in (
        lambda: recommender.similar("item-3"),
        lambda: recommender.recommend(HISTORY, diversity=0.5),
    ):
        with pytest.raises(NoSuchAnswerError, match="no likeness"):
            ask()


def test_damaged_weights_are_an_error_not_a_list(tmp_path):
    model = make_id_model(IDModelConfig(kind="sasrec", num_items=31, hidden_size=8, num_heads=1))
    with torch.no_grad():
        model.item_table.weight[5] = float("nan")
    save_id_model(model, tmp_path / "id", [PAD_ID, *IDS])
    with pytest.raises(CheckpointError):
        load_id_recommender(tmp_path / "id").recommend(["item-1"])
