import numpy as np
import pytest

from hllm import sentence
from hllm.baselines.text_recommender import load_text_baseline
from hllm.errors import StaleEmbeddingsError
from hllm.sentence import embed_sentences, sentence_text


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
