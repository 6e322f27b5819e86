"""Coverage, novelty, popularity, Gini and diversity: by hand, and against RecTools and LensKit."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from hllm.evaluation import beyond_accuracy as beyond
from hllm.evaluation.beyond_accuracy import (
    ItemSpace,
    TrainingCounts,
    beyond_accuracy,
    category_space,
    diversity,
    gini_index,
    text_space,
)


def training(parts, num_items):
    sequences = [np.array([*part, 1, 1]) for part in parts]  # two more are held out
    read = SimpleNamespace(sequences=sequences, num_items=num_items, parts=None)
    return TrainingCounts.of(read)


def test_against_rectools_and_lenskit():
    """The numbers come from RecTools 0.19.0 and LensKit 2025.8.1, on these very lists:

    MeanInvUserFreq(10), AvgRecPopularity(10), CatalogCoverage(10, normalize=True) and
    IntraListDiversity(10, 1 - cosine); lenskit.metrics.ListGini(10, items=20). Development does
    not depend on the two: they want versions of NumPy that exclude each other.
    """
    generator = np.random.default_rng(7)
    parts = [generator.integers(1, 15, generator.integers(1, 9)) for _ in range(30)]
    lists = np.stack([1 + generator.permutation(20)[:10] for _ in range(3)])
    vectors = generator.normal(size=(21, 4))
    found = beyond_accuracy(lists, training(parts, 21), text_space(vectors))
    assert found == pytest.approx(
        {
            "novelty@10": 2.8014492433648943,
            "popularity@10": 6.466666666666666,
            "coverage@10": 0.8,
            "diversity@10": 1.0132346052520307,
            "gini@10": 0.3566666666666667,
        },
        rel=1e-6,
    )


def test_by_hand():
    # Item 1 has users a, b (a twice), item 2 has b, item 3 c, item 4 nobody.
    counts = training([[1, 1], [1, 2], [3], [3]], 5)
    assert counts.interactions.tolist() == [0, 3, 1, 2, 0]
    assert (counts.users.tolist(), counts.num_users) == ([0, 2, 1, 2, 0], 4)
    lists = np.array([[1, 2], [4, 0], [0, 0]])  # two items, one, none at all
    vectors = np.array([[9.0, 9], [1, 0], [3, 4], [0, 1], [1, 1]])
    found = beyond_accuracy(lists, counts, text_space(vectors))
    assert found == pytest.approx(
        {
            "coverage@2": 3 / 4,
            "novelty@2": ((1 + 2) / 2 + 2) / 2,  # item 4 as if one user had it
            "popularity@2": ((3 + 1) / 2 + 0) / 2,
            "gini@2": 1 / 4,  # of 1, 1, 0, 1
            "diversity@2": 1 - 3 / 5,  # only the first list has a pair
        }
    )


def test_gini_is_half_the_relative_mean_difference():
    exposure = np.random.default_rng(0).integers(0, 9, 40)
    differences = np.abs(exposure[:, None] - exposure[None, :]).mean()
    assert gini_index(exposure) == pytest.approx(differences / 2 / exposure.mean())


@pytest.mark.parametrize("kind", [text_space, category_space])
def test_diversity_is_the_mean_over_pairs_whatever_the_block(monkeypatch, kind):
    generator = np.random.default_rng(3)
    lists = np.stack([generator.permutation(30)[:5] for _ in range(17)])
    if kind is text_space:
        space = text_space(generator.normal(size=(30, 6)).astype(np.float32))
        dense = space.vectors
    else:
        labels = ["", "a", "b;a", "a; b ; c", "C|d"]
        space = category_space([None, *({"categories": labels[n % 5]} for n in range(29))])
        dense = space.vectors.toarray()
    expected = []
    for items in lists:
        items = items[items > 0]
        cosines = [dense[i] @ dense[j] for i in items for j in items if i != j]
        expected.append(1 - np.mean(cosines))
    for size in (1024, 4):
        monkeypatch.setattr(beyond, "LISTS_AT_ONCE", size)
        assert diversity(lists, space) == pytest.approx(np.mean(expected), abs=1e-6)


def test_categories_overlap_by_hand():
    fields = [None, {"categories": "Games; Puzzles"}, {"categories": "games|Cards"}, {}, {"x": "y"}]
    space = category_space(fields)
    similarity = (space.vectors @ space.vectors.T).toarray()
    assert similarity[1, 2] == pytest.approx(1 / 2)
    assert similarity[1, 1] == pytest.approx(1)
    assert similarity[3].tolist() == similarity[4].tolist() == [0.0] * 5
    assert category_space([None, {"title": "Emma"}, {"categories": " ; "}]) is None


def test_without_a_space_there_is_no_diversity():
    found = beyond_accuracy(np.array([[1, 2]]), training([[1]], 3), None)
    assert list(found) == ["coverage@2", "novelty@2", "popularity@2", "gini@2"]


def test_where_nothing_can_be_measured_there_is_no_number():
    nobody = training([], 3)
    found = beyond_accuracy(np.array([[1, 2]]), nobody, None)
    assert math.isnan(found["novelty@2"]) and found["popularity@2"] == 0
    empty = beyond_accuracy(np.zeros((2, 3), dtype=int), nobody, ItemSpace("x", np.ones((3, 2))))
    assert empty.pop("coverage@3") == 0
    assert all(math.isnan(value) for value in empty.values())


def test_vectors_of_length_0_stay_what_they_are():
    assert text_space(np.array([[0.0, 0], [3, 4]])).vectors.tolist() == [[0, 0], [0.6, 0.8]]
