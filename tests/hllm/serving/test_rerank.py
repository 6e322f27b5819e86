"""Re-ranking: against the definition written out, and what it must never do."""

import itertools

import numpy as np
import pytest
import torch

from hllm.serving.history_encoder import Reading
from hllm.serving.index import ItemIndex
from hllm.serving.ranker import recommend_rows
from hllm.serving.rerank import NUM_CANDIDATES, Reranking, cost_of, log_popularity, mmr

NUM_ITEMS = 160
IDS = [f"i{number}" for number in range(NUM_ITEMS)]


def candidates(seed, count=30, width=6):
    """Scores, best first, and vectors in bunches: without likeness there is nothing to avoid."""
    rng = np.random.default_rng(seed)
    bunches = rng.normal(size=(5, width))
    vectors = bunches[rng.integers(5, size=count)] + 0.3 * rng.normal(size=(count, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.sort(rng.random(count))[::-1], vectors.astype(np.float32)


def best_hundred(seed):
    """What a search finds in a catalogue of groups: items near the user are near each other."""
    rng = np.random.default_rng(seed)
    groups = rng.normal(size=(40, 12))
    vectors = groups[rng.integers(40, size=2000)] + 0.5 * rng.normal(size=(2000, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    user = 3 * vectors[0] + rng.normal(size=12)
    scores = vectors @ user / np.linalg.norm(user)
    best = np.argsort(-scores)[:NUM_CANDIDATES]
    return scores[best], vectors[best].astype(np.float32)


def slow_mmr(relevance, vectors, top_k, diversity):
    """The formula of the paper, one pair after the other."""
    chosen = [max(range(len(relevance)), key=lambda place: relevance[place])]
    while len(chosen) < min(top_k, len(relevance)):
        left = [place for place in range(len(relevance)) if place not in chosen]

        def worth(place):
            nearest = max(float(vectors[place] @ vectors[other]) for other in chosen)
            return (1 - diversity) * relevance[place] - diversity * nearest

        chosen.append(max(left, key=worth))
    return chosen


def likeness(vectors, places):
    """Mean cosine of all pairs."""
    pairs = itertools.combinations(places, 2)
    return np.mean([vectors[one] @ vectors[other] for one, other in pairs])


@pytest.mark.parametrize("diversity", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_mmr_is_the_formula_of_the_paper(seed, diversity):
    scores, vectors = candidates(seed)
    assert mmr(scores, vectors, 12, diversity) == slow_mmr(scores, vectors, 12, diversity)


def test_a_shorter_list_is_the_beginning_of_a_longer_one():
    scores, vectors = candidates(1)
    reranking = Reranking(0.4, 0.3, np.arange(30))
    longest = reranking.choose(scores, vectors, np.arange(30), 100)
    assert sorted(longest) == list(range(30))
    for top_k in (0, 1, 7):
        assert reranking.choose(scores, vectors, np.arange(30), top_k) == longest[:top_k]


@pytest.mark.parametrize("seed", range(5))
def test_more_diversity_gives_items_that_are_less_alike_and_cost_more(seed):
    scores, vectors = best_hundred(seed)
    lists = [
        Reranking(diversity).choose(scores, vectors, np.arange(100), 10)
        for diversity in (0.0, 0.6, 1.0)
    ]
    assert lists[0] == list(range(10))
    alike = [likeness(vectors, places) for places in lists]
    assert alike[0] > alike[1] > alike[2]
    assert scores[lists[0]].mean() > scores[lists[1]].mean() > scores[lists[2]].mean()
    assert all(places[0] == 0 for places in lists)  # the best item is never given up


@pytest.mark.parametrize("seed", range(5))
def test_less_popular_items_rise(seed):
    scores, vectors = best_hundred(seed)
    counts = np.random.default_rng(seed).integers(0, 5000, size=300)
    rows = np.random.default_rng(seed + 1).permutation(300)[:100]
    means = [
        log_popularity(counts, rows)[
            Reranking(0, weight, counts).choose(scores, vectors, rows, 10)
        ].mean()
        for weight in (0.0, 0.2, 1.0)
    ]
    assert means[0] > means[1] > means[2]
    # By the definition: scaled score minus weight times scaled logarithm.
    scaled = (scores - scores.min()) / (scores.max() - scores.min())
    worth = scaled - 0.5 * np.log(1 + counts[rows]) / np.log(1 + counts.max())
    expected = sorted(range(100), key=lambda place: -worth[place])
    assert Reranking(0, 0.5, counts).choose(scores, vectors, rows, 100) == expected


def test_the_unit_of_scores_does_not_matter():
    scores, vectors = candidates(2)
    reranking, rows = Reranking(0.5, 0.5, np.arange(30)), np.arange(30)
    expected = reranking.choose(scores, vectors, rows, 10)
    assert reranking.choose(7 * scores - 3, vectors, rows, 10) == expected


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_candidates_all_stay(count):
    scores, vectors = candidates(3, count)
    rows = np.arange(count)
    assert sorted(Reranking(1, 1, np.ones(5)).choose(scores, vectors, rows, 10)) == rows.tolist()
    equal = np.full(count, 0.5)  # nothing to scale
    assert sorted(Reranking(0.5).choose(equal, vectors, rows, 10)) == rows.tolist()


def test_counts_of_nothing_change_nothing():
    scores, vectors = candidates(4)
    chosen = Reranking(0, 1, np.zeros(30, np.int32)).choose(scores, vectors, np.arange(30), 30)
    assert chosen == list(range(30))


@pytest.mark.parametrize("value", [-0.1, 1.01, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["diversity", "less_popular"])
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a number from 0 to 1"):
        Reranking(**{name: value}, popularity=np.ones(3))


@pytest.mark.parametrize(
    ("popularity", "message"),
    [
        (None, "needs popularity"),
        (np.ones(3), "one count for each item"),
        (np.ones((30, 2)), "one count for each item"),
        (np.full(30, -1), "0 or more"),
        (np.full(30, np.nan), "0 or more"),
        (np.full(30, np.inf), "0 or more"),
    ],
)
def test_popularity_that_is_none_is_refused(popularity, message):
    scores, vectors = candidates(0)
    with pytest.raises(ValueError, match=message):
        Reranking(0, 0.5, popularity).choose(scores, vectors, np.arange(30), 10)


def test_the_cost_is_the_mean_that_is_lost_and_what_came_in():
    cost = cost_of([("a", 0.9), ("c", 0.5)], [("a", 0.9), ("b", 0.8)])
    assert cost.score == pytest.approx(0.15)
    assert (cost.num_replaced, cost.num_items) == (1, 2)
    same = cost_of([("b", 0.8), ("a", 0.9)], [("a", 0.9), ("b", 0.8)])
    assert same.score == pytest.approx(0, abs=1e-12) and same.num_replaced == 0


@pytest.fixture
def index():
    return ItemIndex(IDS, torch.randn(NUM_ITEMS, 8, generator=torch.Generator().manual_seed(1)))


def test_lists_are_chosen_from_the_best_hundred_by_score(index):
    asked = []

    def search(user, top_k, rows, allowed):
        asked.append(top_k)
        return index.search(user, top_k, rows, allowed)

    def ask(top_k, reranking, allowed=None):
        def read(rows):
            return Reading(index.vectors[rows].sum(0), 1, 0)

        keys = [index.item_ids.index(item_id) for item_id in ("i3", "i1")]
        return recommend_rows(index, read, keys, top_k, allowed, search, reranking)

    plain = ask(10, None)
    assert plain.by_score is None and plain.rerank_cost(10) is None
    off = ask(10, Reranking())
    assert (off.items, off.by_score) == (plain.items, None)  # to the last bit
    diverse = ask(10, Reranking(diversity=0.9))
    assert asked == [10, 10, NUM_CANDIDATES]
    assert diverse.by_score == plain.items and diverse.items[0] == plain.items[0]
    scores = {item.item_id: item.score for item in ask(NUM_CANDIDATES, None).items}
    assert [item.rank for item in diverse.items] == list(range(1, 11))
    assert all(item.score == scores[item.item_id] for item in diverse.items)
    cost = diverse.rerank_cost(10)
    assert 0 < cost.num_replaced < 10 and cost.num_items == 10
    means = [np.mean([i.score for i in found.items]) for found in (plain, diverse)]
    assert cost.score == pytest.approx(means[0] - means[1])
    # The first three of a longer list cost what a list of three does.
    assert diverse.rerank_cost(3) == ask(3, Reranking(diversity=0.9)).rerank_cost(3)
    few = ask(10, Reranking(1, 1, np.arange(NUM_ITEMS)), np.array([1, 5, 7]))
    assert sorted(item.item_id for item in few.items) == ["i5", "i7"]
    assert few.rerank_cost(10).num_replaced == 0
    nothing = ask(10, Reranking(1), np.array([1, 3]))
    assert nothing.items == [] and nothing.rerank_cost(10) is None
