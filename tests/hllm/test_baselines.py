import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm import sentence
from hllm.baselines import (
    DECAY,
    SENTENCE_FINGERPRINT,
    ItemKNN,
    Popularity,
    TextBaseline,
    TextScorer,
    load_text_baseline,
    pool_history,
)
from hllm.data import Interactions
from hllm.errors import StaleEmbeddingsError, UnknownItemError
from hllm.sentence import embed_sentences, sentence_text
from hllm.store import ItemEmbeddings


def interactions(*training, num_items):
    """Users with these training parts; two held-out interactions each are added."""
    sequences = [np.array([*items, 1, 1], dtype=np.int64) for items in training]
    users = [f"u{number}" for number in range(len(sequences))]
    ids = [f"i{number}" for number in range(num_items)]
    return Interactions(ids, users, np.arange(len(users)), sequences)


def history(*items):
    return np.array(items, dtype=np.int64)


def test_popularity_counts_training_for_everybody():
    scorer = Popularity(interactions([2, 2, 3], [2], num_items=5))
    assert scorer.score([history(1), history(2, 3)]).tolist() == [[0, 0, 3, 1, 0]] * 2


def test_item_knn_by_hand():
    # item 1: users a b c; item 2: a b; item 3: c; item 4: nobody
    data = interactions([1, 2], [2, 1, 1], [1, 3], num_items=5)
    scorer = ItemKNN(data, shrinkage=1.0, decay=1.0)
    one_two, one_three = 2 / (math.sqrt(6) + 1), 1 / (math.sqrt(3) + 1)
    expected = [[0, 0, one_two, one_three, 0], [0, one_two + one_three, 0, 0, 0]]
    actual = scorer.score([history(1), history(2, 3)])
    assert actual.dtype == torch.float32
    torch.testing.assert_close(actual, torch.tensor(expected), check_dtype=False)


def test_item_knn_weighs_recent_items_more_and_adds_repeats():
    data = interactions([1, 2], [3, 4], num_items=5)
    scorer = ItemKNN(data, shrinkage=0.0, decay=0.5)
    assert scorer.score([history(1, 3)]).tolist() == [[0, 0, 0.5, 0, 1]]
    assert scorer.score([history(1, 1)]).tolist() == [[0, 0, 1.5, 0, 0]]


def test_item_knn_keeps_the_nearest_neighbours():
    data = interactions([1, 2], [1, 2], [1, 3], [1, 4], num_items=5)
    nearest = ItemKNN(data, num_neighbours=1, shrinkage=0.0).score([history(1)])
    assert (nearest > 0).tolist() == [[False, False, True, False, False]]
    everything = ItemKNN(data, shrinkage=0.0).score([history(1)])
    assert (everything > 0).tolist() == [[False, False, True, True, True]]


def test_item_knn_against_a_dense_oracle():
    generator = np.random.default_rng(0)
    parts = [generator.integers(1, 12, generator.integers(1, 9)) for _ in range(40)]
    data = interactions(*parts, num_items=12)
    users = np.zeros((40, 12))
    for row, part in enumerate(parts):
        users[row, part] = 1
    counts = users.sum(0)
    similarity = users.T @ users / (np.sqrt(np.outer(counts, counts)) + 50)
    np.fill_diagonal(similarity, 0)
    histories = [generator.integers(1, 12, 5) for _ in range(7)]
    expected = np.zeros((7, 12))
    for row, items in enumerate(histories):
        for age, item in enumerate(items[::-1]):
            expected[row] += DECAY**age * similarity[item]
    actual = ItemKNN(data).score(histories).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-8)


def test_pooling_by_hand():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert pool_history(items, "mean").tolist() == [0.5, 0.5]
    assert pool_history(items, "last").tolist() == [0.0, 1.0]
    expected = torch.tensor([0.7 / 1.7, 1 / 1.7])
    torch.testing.assert_close(pool_history(items, "decay"), expected)
    with pytest.raises(ValueError, match=r"pooling 'max': choose one of mean, last, decay"):
        pool_history(items, "max")
    with pytest.raises(ValueError, match=r"pooling 'max'"):
        TextScorer(items, "max")


def test_text_scores_are_cosines_with_the_pooled_history():
    vectors = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    scores = TextScorer(vectors, "mean").score([history(1, 2), history(3)])
    half = math.sqrt(0.5)
    expected = torch.tensor([[0, half, half, 1], [0, half, half, 1]])
    torch.testing.assert_close(scores, expected)


def embeddings(fingerprint=SENTENCE_FINGERPRINT):
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    return ItemEmbeddings(["a", "b", "c"], ["00" * 8] * 3, vectors, fingerprint)


def test_recommendations_of_the_page_baseline():
    found = TextBaseline(embeddings()).recommend(["c", "a"], top_k=5)
    assert [(item.item_id, item.rank) for item in found.items] == [("b", 1)]
    user = np.array([1 / 1.7, 0.7 / 1.7])
    item = np.array([0.9, 0.1])
    cosine = user @ item / np.linalg.norm(user) / np.linalg.norm(item)
    assert found.items[0].score == pytest.approx(cosine, abs=1e-6)
    assert found.num_candidates == 3
    assert found.encode_ms >= 0
    assert found.search_ms >= 0


def test_the_page_baseline_is_the_evaluated_one():
    torch.manual_seed(0)
    vectors = torch.randn(30, 8)
    ids = [f"i{number}" for number in range(30)]
    baseline = TextBaseline(ItemEmbeddings(ids, ["00" * 8] * 30, vectors, SENTENCE_FINGERPRINT))
    found = baseline.recommend(["i4", "i9", "i2"], top_k=27)
    scores = TextScorer(vectors, "decay").score([history(4, 9, 2)])[0]
    scores[[4, 9, 2]] = -math.inf
    best = scores.argsort(descending=True)[:27].tolist()
    assert [item.item_id for item in found.items] == [ids[row] for row in best]


@pytest.mark.parametrize("approximate", [False, True])
def test_the_page_baseline_ranks_what_is_allowed(monkeypatch, approximate):
    if approximate:
        monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
        monkeypatch.setattr("hllm.approximate.EXACT_ROWS", 0)
    torch.manual_seed(0)
    ids = [f"i{number}" for number in range(90)]
    vectors = F.normalize(torch.randn(90, 8), dim=-1)
    baseline = TextBaseline(ItemEmbeddings(ids, ["00" * 8] * 90, vectors, SENTENCE_FINGERPRINT))
    allowed = np.arange(0, 90, 4)
    everything = baseline.recommend(["i4", "i9"], top_k=88).items
    found = baseline.recommend(["i4", "i9"], top_k=88, allowed=allowed)
    wanted = [item for item in everything if int(item.item_id[1:]) % 4 == 0]
    assert [item.item_id for item in found.items] == [item.item_id for item in wanted]
    assert [item.score for item in found.items] == pytest.approx(
        [i.score for i in wanted], abs=1e-6
    )
    assert [item.rank for item in found.items] == list(range(1, 23))
    assert found.num_candidates == 23


def test_page_baseline_errors():
    baseline = TextBaseline(embeddings())
    with pytest.raises(ValueError, match="history is empty"):
        baseline.recommend([])
    with pytest.raises(UnknownItemError, match="'zzz'"):
        baseline.recommend(["zzz"])


def test_load_baseline_notices_what_does_not_fit(tmp_path):
    path = tmp_path / "baseline.safetensors"
    with pytest.raises(StaleEmbeddingsError, match="No item embeddings"):
        load_text_baseline(path)
    embeddings("another").save(path)
    with pytest.raises(StaleEmbeddingsError, match="does not hold all-MiniLM-L6-v2"):
        load_text_baseline(path)
    embeddings().save(path)
    assert load_text_baseline(path).num_items == 3
    with pytest.raises(StaleEmbeddingsError, match="older than the catalogue: 1 items"):
        load_text_baseline(path, fields=[("d", {"title": "new"})])


def test_sentence_text_is_the_contents_only():
    fields = {"title": "Emma", "description": "A novel", "tag": "", "year": "1815"}
    assert sentence_text(fields, ["title", "tag", "description"]) == "Emma. A novel"
    assert sentence_text(None, ["title"]) == ""


def test_only_changed_sentences_are_encoded(tmp_path, monkeypatch):
    encoded = []

    def encode(texts, *, progress):
        encoded.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    monkeypatch.setattr(sentence, "sentence_embeddings", encode)
    path = tmp_path / "baseline.safetensors"
    first = [("a", {"title": "x"}), ("b", {"title": "yy", "year": "1815"})]
    embed_sentences(first, ["title"], path)
    titles = [("b", "yy"), ("a", "changed"), ("c", "yy")]
    fields = [(item_id, {"title": title}) for item_id, title in titles]
    result = embed_sentences(fields, ["title"], path)
    assert encoded == ["x", "yy", "changed", "yy"]
    assert result.vectors[:, 0].tolist() == [2, 7, 2]
    assert load_text_baseline(path, fields=fields).num_items == 3
    with pytest.raises(StaleEmbeddingsError, match=r"2 items .* run  python -m hllm\.sentence"):
        load_text_baseline(path, fields=[(i, {"title": t + "!"}) for i, t in titles[:2]])


def test_minilm_as_packaged():
    texts = ["a book about dragons", "a dragon novel", "tax law of Norway", "a dragon novel"]
    vectors = sentence.sentence_embeddings(texts, progress=False)
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.5 > cosines[0, 2]
    assert (vectors[1] == vectors[3]).all()
