"""MiniLM for one text at a time, as for a catalogue."""

import torch

from hllm.baselines.sentence_encoder import SentenceEncoder
from hllm.baselines.text_recommender import TextBaseline
from hllm.sentence import embed_sentences, sentence_embeddings

ITEMS = [
    ("a", {"title": "Dune", "tag": "sand"}),
    ("b", {"title": "Emma"}),
    ("c", {"title": "Ulysses"}),
]


def test_one_text_is_encoded_as_many_are_and_no_disk_is_touched(tmp_path, monkeypatch):
    texts = ["A funny heist on Mars", "Emma"]
    expected = torch.from_numpy(sentence_embeddings(texts, progress=False))
    monkeypatch.setenv("HLLM_CACHE", str(tmp_path / "cache"))
    encoder = SentenceEncoder()
    encoder.load()
    model = encoder._model
    found = torch.stack([encoder.encode_one(text) for text in texts])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert encoder._model is model and not (tmp_path / "cache").exists()


def test_the_baseline_reads_a_new_item_as_one_of_the_catalogue(tmp_path):
    stored = embed_sentences(ITEMS, ["title", "tag"], tmp_path / "b.safetensors", progress=False)
    baseline = TextBaseline(stored)
    new = ITEMS[0][1]
    vector = baseline.new_item(new).vector
    # The file holds float16.
    torch.testing.assert_close(vector, baseline.item_embedding("a"), atol=1e-3, rtol=0)
    twin, written = baseline.recommend(["b", "a"]).items, baseline.recommend(["b", new]).items
    assert {i.item_id for i in written} == {"a", "c"}
    [score] = [item.score for item in written if item.item_id == "c"]
    assert abs(score - twin[0].score) < 1e-3
    assert baseline.similar(new)[0].item_id == "a"
    assert baseline.rank_of(["b"], new).num_ranked == 3
