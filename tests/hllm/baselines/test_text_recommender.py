import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.text_recommender import SENTENCE_FINGERPRINT, TextBaseline, load_text_baseline
from hllm.baselines.text_scorer import TextScorer
from hllm.errors import StaleEmbeddingsError, UnknownItemError
from hllm.store import ItemEmbeddings, sentence_fingerprint


def embeddings(fingerprint=SENTENCE_FINGERPRINT):
    vectors = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    return ItemEmbeddings(["a", "b", "c"], ["00" * 8] * 3, vectors, fingerprint)


def history(*items):
    return np.array(items, dtype=np.int64)


def test_baseline_knows_which_fields_its_embeddings_were_made_from():
    made_from = sentence_fingerprint(["title", "description"])
    assert TextBaseline(embeddings(made_from)).text_keys == ("title", "description")


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
        monkeypatch.setattr("hllm.serving.approximate_index.EXACT_ROWS", 0)
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
    with pytest.raises(StaleEmbeddingsError, match="another model, not all-MiniLM-L6-v2"):
        load_text_baseline(path)
    embeddings().save(path)
    assert load_text_baseline(path).num_items == 3
    with pytest.raises(StaleEmbeddingsError, match="older than the catalogue: 1 items"):
        load_text_baseline(path, fields=[("a", {"title": "new"})])
