"""Approximate search: candidates against exact search, filters, a kept index that goes stale."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import hllm.recommend
import hllm.serving.approximate_index
from hllm.serving.approximate_index import ApproximateIndex
from hllm.serving.index import ItemIndex
from hllm.store import ItemEmbeddings

COUNT, WIDTH = 6_000, 64


@pytest.fixture(scope="module")
def vectors():
    """Items in 200 groups of about equal direction, of different lengths, in float16."""
    random = torch.Generator().manual_seed(7)
    groups = torch.randn(200, WIDTH, generator=random)
    chosen = groups[torch.randint(200, (COUNT,), generator=random)]
    noise = 0.5 * torch.randn(COUNT, WIDTH, generator=random)
    return ((chosen + noise) * (0.5 + torch.rand(COUNT, 1, generator=random))).half()


@pytest.fixture(scope="module")
def indexes(vectors):
    ids = [f"i{n}" for n in range(COUNT)]
    return ItemIndex(ids, vectors), ApproximateIndex(ids, vectors)


def queries(vectors):
    return F.normalize(vectors[:20].float() + vectors[1:21].float(), dim=-1)


def test_nearly_all_of_the_best_are_found_with_exact_scores(indexes, vectors):
    exact, approximate = indexes
    found = 0
    for query in queries(vectors):
        best = dict(exact.search(query, 50))
        answer = approximate.search(query, 50)
        assert [score for _, score in answer] == sorted((s for _, s in answer), reverse=True)
        found += len(best.keys() & dict(answer))
        for row, score in answer:
            assert score == pytest.approx((exact.vectors[row] @ query).item(), abs=1e-5)
    assert found / (20 * 50) > 0.97


@pytest.mark.parametrize("exact_rows", [0, 20_000])
def test_filters_give_what_exact_search_gives(indexes, vectors, monkeypatch, exact_rows):
    """Both ways: few allowed items are ranked, many are searched with a bitmap."""
    monkeypatch.setattr(hllm.serving.approximate_index, "EXACT_ROWS", exact_rows)
    exact, approximate = indexes
    allowed = np.arange(0, COUNT, 3)
    found = 0
    for query in queries(vectors):
        exclude = [row for row, _ in exact.search(query, 5, allowed=allowed)]
        best = exact.search(query, 20, exclude, allowed)
        answer = approximate.search(query, 20, exclude, allowed)
        rows = {row for row, _ in answer}
        assert rows <= set(allowed.tolist()) - set(exclude)
        found += len(rows & dict(best).keys())
    assert found / (20 * 20) > (0.97 if exact_rows == 0 else 0.999)


def test_nothing_is_left(indexes):
    for index in indexes:
        assert index.search(torch.ones(WIDTH), 5, [3], np.array([3])) == []


def test_the_index_is_kept_and_made_again_when_stale(vectors, tmp_path, monkeypatch):
    path = tmp_path / "embeddings.safetensors"
    ids, hashes = [f"i{n}" for n in range(COUNT)], ["0" * 16] * COUNT
    ItemEmbeddings(ids, hashes, vectors, "f" * 16).save(path)
    built = []
    real = hllm.serving.approximate_index._build
    monkeypatch.setattr(
        hllm.serving.approximate_index, "_build", lambda v: built.append(1) or real(v)
    )
    first = ApproximateIndex(ids, vectors, path)
    again = ApproximateIndex(ids, vectors, path)
    assert len(built) == 1
    query = queries(vectors)[0]
    assert first.search(query, 30) == again.search(query, 30)
    ItemEmbeddings(ids, hashes, vectors.flip(0).contiguous(), "f" * 16).save(path)
    ApproximateIndex(ids, vectors.flip(0), path)
    assert len(built) == 2
    assert len(list(tmp_path.glob("*.faiss"))) == 1


def test_a_folder_that_cannot_be_written_costs_only_the_file(vectors, tmp_path, monkeypatch):
    path = tmp_path / "embeddings.safetensors"
    path.touch()

    def refuses(*_):
        raise PermissionError("read-only")

    monkeypatch.setattr(hllm.serving.approximate_index, "atomic_path", refuses)
    index = ApproximateIndex([str(n) for n in range(COUNT)], vectors, path)
    assert len(index.search(queries(vectors)[0], 10)) == 10
    assert os.listdir(tmp_path) == [path.name]


def test_large_catalogues_are_searched_approximately(vectors, monkeypatch):
    ids = [f"i{n}" for n in range(COUNT)]
    embeddings = ItemEmbeddings(ids, ["0" * 16] * COUNT, vectors, "f" * 16)
    assert isinstance(hllm.recommend.make_index(embeddings), ItemIndex)
    monkeypatch.setattr(hllm.recommend, "APPROXIMATE_FROM", COUNT * WIDTH)
    assert isinstance(hllm.recommend.make_index(embeddings), ApproximateIndex)


def test_a_kept_index_that_is_damaged_is_made_again(tmp_path, caplog):
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(200, 32, generator=generator)
    ids = [str(n) for n in range(200)]
    file = tmp_path / "embeddings.safetensors"
    file.write_bytes(b"stands for the embeddings")
    found = ApproximateIndex(ids, vectors, file).search(vectors[0], 5)
    (kept,) = tmp_path.glob("*.faiss")
    whole = kept.read_bytes()
    for damage in (whole[:-40], whole[: len(whole) // 2], b"", whole[:500] + b"x" + whole[501:]):
        kept.write_bytes(damage)
        caplog.clear()
        assert ApproximateIndex(ids, vectors, file).search(vectors[0], 5) == found
        assert f"{kept} is damaged: it is made again" in caplog.text
        assert kept.read_bytes() == whole
