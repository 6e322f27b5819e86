"""Exact search against a plain loop."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.errors import CheckpointError, StaleEmbeddingsError, UnknownItemError
from hllm.serving.approximate_index import ApproximateIndex
from hllm.serving.index import ItemIndex


def slow_search(ids, vectors, query, top_k, exclude):
    scores = []
    for row, vector in enumerate(vectors.double()):
        if row not in exclude:
            q = query.double()
            scores.append((-(vector @ q / vector.norm() / q.norm()).item(), row))
    return [row for _, row in sorted(scores)[:top_k]]


def test_equals_the_slow_search():
    torch.manual_seed(0)
    vectors = torch.randn(200, 16)
    index = ItemIndex([str(n) for n in range(200)], vectors)
    for _ in range(20):
        query = torch.randn(16) * 5
        exclude = set(torch.randint(0, 200, (30,)).tolist())
        found = index.search(query, 25, exclude)
        assert [row for row, _ in found] == slow_search(index.item_ids, vectors, query, 25, exclude)
        row, score = found[0]
        assert score == pytest.approx(
            torch.cosine_similarity(query, vectors[row], 0).item(), abs=1e-6
        )


def test_ties_come_in_the_order_of_the_catalogue():
    index = ItemIndex(["a", "b", "c"], torch.ones(3, 2))
    assert [row for row, _ in index.search(torch.ones(2), 3)] == [0, 1, 2]


def test_fewer_items_than_asked_for_and_none():
    index = ItemIndex(["a", "b"], torch.eye(2))
    assert len(index.search(torch.ones(2), 10, exclude=[1])) == 1
    assert index.search(torch.ones(2), 10, exclude=[0, 1]) == []
    assert ItemIndex([], torch.empty(0, 2)).search(torch.ones(2), 5) == []


def test_zero_vector_has_score_zero_not_nan():
    index = ItemIndex(["a", "b"], torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    assert index.search(torch.tensor([1.0, 0.0]), 2) == [(1, 1.0), (0, 0.0)]


def test_unknown_item_is_named():
    with pytest.raises(UnknownItemError, match=r"'x' and 1 more.*hllm\.embed"):
        ItemIndex(["a"], torch.eye(1)).rows(["a", "x", "y"])


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_only_allowed_rows_are_found(share):
    """Both ways: of few allowed rows the vectors are taken, of many the scores."""
    torch.manual_seed(1)
    vectors, query = torch.randn(500, 8), torch.randn(8)
    index = ItemIndex([str(n) for n in range(500)], vectors)
    allowed = torch.randperm(500)[: int(500 * share)].int().numpy()
    excluded = allowed[:3].tolist()
    scores = F.cosine_similarity(query.unsqueeze(0), vectors)
    left = sorted(set(allowed.tolist()) - set(excluded), key=lambda row: -scores[row])
    found = index.search(query, 400, [*excluded, 499], allowed)
    assert [row for row, _ in found] == [row for row in left if row != 499]
    assert [score for _, score in found] == pytest.approx(
        [scores[row].item() for row, _ in found], abs=1e-6
    )


def test_nothing_allowed_finds_nothing():
    index = ItemIndex(["a", "b"], torch.eye(2))
    assert index.search(torch.ones(2), 5, allowed=np.array([], dtype=np.int32)) == []


@pytest.mark.parametrize("make", [ItemIndex, ApproximateIndex])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_vector_that_is_not_finite_is_refused_by_name(make, bad, tmp_path):
    vectors = torch.randn(90, 16)
    vectors[57, 3] = bad
    path = tmp_path / "e.safetensors"
    path.touch()
    ids = [f"i{n}" for n in range(90)]
    with pytest.raises(StaleEmbeddingsError, match=r"e\.safetensors: .*item 'i57'.*hllm\.embed"):
        make(ids, vectors, path)


@pytest.mark.parametrize("make", [ItemIndex, ApproximateIndex])
def test_vectors_that_change_later_never_give_a_score_that_is_not_finite(make):
    torch.manual_seed(2)
    index = make([f"i{n}" for n in range(90)], torch.randn(90, 16))
    index.vectors[::2] = float("nan")
    for allowed in (None, np.arange(3), np.arange(60)):
        found = index.search(torch.randn(16), 90, allowed=allowed)
        assert found
        assert all(np.isfinite(score) and row % 2 for row, score in found)


@pytest.mark.parametrize("make", [ItemIndex, ApproximateIndex])
def test_a_user_embedding_that_is_not_finite_is_an_error(make):
    index = make([f"i{n}" for n in range(90)], torch.randn(90, 16))
    query = torch.randn(16)
    query[3] = float("nan")
    with pytest.raises(CheckpointError, match="User LLM answered with NaN"):
        index.search(query, 5)
