"""What is served is what the model computes: the recommender against the plain definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.text_recommender import TextBaseline
from hllm.checkpoint import save_model
from hllm.embed import embed_items
from hllm.errors import StaleEmbeddingsError, UnknownItemError
from hllm.recommend import Recommender, load_hllm
from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.serving.rerank import Reranking
from hllm.serving.user_model import load_user_model
from hllm.store import BLEND, EMBEDDINGS, ItemEmbeddings
from hllm.text import item_text

FIELDS = [(f"i{n}", {"title": f"book number {n * 37 % 101}"}) for n in range(30)]
PROMPT = "Compress the following sentence into embedding: "


@pytest.fixture
def served(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    texts = [(item_id, item_text(values, ["title"], PROMPT)) for item_id, values in FIELDS]
    stored = embed_items(tmp_path, texts, tmp_path / EMBEDDINGS, half=False, progress=False)
    return tmp_path, stored.vectors


@torch.inference_mode()
def oracle(model, vectors, history):
    """Every item's cosine, by the definition, without index, cache or batch."""
    items = vectors[[int(item_id[1:]) for item_id in history[-model.config.max_history :]]]
    user = model.encode_users(items.unsqueeze(0)).last_hidden_state[0, -1]
    return F.cosine_similarity(user.unsqueeze(0), vectors)


@pytest.mark.parametrize("history", [["i3"], ["i1", "i2", "i3"], [f"i{n}" for n in range(20)]])
def test_ranks_and_scores_are_the_models(served, tiny_model, history):
    folder, vectors = served
    result = load_hllm(folder, fields=FIELDS).recommend(history, top_k=100)
    scores = oracle(tiny_model, vectors, history)
    expected = [f"i{n}" for n in scores.argsort(descending=True) if f"i{n}" not in history]
    assert [item.item_id for item in result.items] == expected
    assert [item.rank for item in result.items] == list(range(1, len(expected) + 1))
    for item in result.items:
        assert item.score == pytest.approx(scores[int(item.item_id[1:])].item(), abs=1e-5)
    assert result.num_candidates == 30


def test_a_folder_opens_with_its_own_embeddings_or_others(served, tmp_path):
    folder, vectors = served
    ids = [item_id for item_id, _ in FIELDS]
    own = ItemEmbeddings.load(folder / EMBEDDINGS)
    few = ItemEmbeddings(ids[:7], own.text_hashes[:7], vectors[:7], own.fingerprint)
    few.save(tmp_path / "few.safetensors")
    found = Recommender.from_pretrained(folder).recommend(["i3"], top_k=100).items
    assert sorted(item.item_id for item in found) == sorted({*ids} - {"i3"})
    recommender = Recommender.from_pretrained(str(folder), tmp_path / "few.safetensors", "bf16")
    assert recommender.precision == "bf16"
    found = recommender.recommend(["i3"], top_k=100).items
    assert sorted(item.item_id for item in found) == sorted({*ids[:7]} - {"i3"})


@pytest.mark.parametrize("approximate", [False, True])
def test_allowed_rows_are_ranked_as_among_all(served, tiny_model, monkeypatch, approximate):
    if approximate:
        monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
        monkeypatch.setattr("hllm.serving.approximate_index.EXACT_ROWS", 0)
    folder, vectors = served
    recommender = load_hllm(folder, fields=FIELDS)
    allowed = np.array([2, 3, 5, 8, 13, 21], dtype=np.int32)
    result = recommender.recommend(["i3", "i1", "i8"], top_k=5, allowed=allowed)
    scores = oracle(tiny_model, vectors, ["i3", "i1", "i8"])
    expected = sorted([2, 5, 13, 21], key=lambda row: -scores[row])
    assert [item.item_id for item in result.items] == [recommender.item_ids[r] for r in expected]
    assert result.num_candidates == 6
    nothing = recommender.recommend(["i3"], allowed=np.array([3]))
    assert (nothing.items, nothing.num_candidates) == ([], 1)


@pytest.mark.parametrize("options", [{}, {"cache_bytes": 0}, {"cache_bytes": 9_000}])
def test_a_session_stays_the_models_whatever_is_remembered(served, tiny_model, options):
    """Clicks far past max_history, with undo and a removed item, by two visitors in turn."""
    folder, vectors = served
    loaded = load_user_model(folder), ItemEmbeddings.load(folder / EMBEDDINGS)
    recommender = Recommender(loaded[0], tiny_model.config, loaded[1], **options)
    rows = [f"i{n * 7 % 30}" for n in range(14)]
    histories = [rows[: n + 1] for n in range(14)]
    histories += [rows[:13], rows[:4] + rows[5:], [*rows[:3], "i29"], rows]
    for history in histories:
        scores = oracle(tiny_model, vectors, history)
        for item in recommender.recommend(history, top_k=5).items:
            assert item.score == pytest.approx(scores[int(item.item_id[1:])].item(), abs=1e-4)


def test_window_stride_is_refused_beyond_the_window(served, tiny_model):
    loaded = load_user_model(served[0]), ItemEmbeddings.load(served[0] / EMBEDDINGS)
    with pytest.raises(ValueError, match="stride 7: choose one from 1 to max_history = 6"):
        Recommender(loaded[0], tiny_model.config, loaded[1], window_stride=7)


def test_order_of_the_history_matters(served):
    recommender = load_hllm(served[0])
    one = recommender.recommend(["i1", "i2", "i3"]).items
    assert one != recommender.recommend(["i3", "i2", "i1"]).items


def test_empty_and_unknown_histories(served):
    recommender = load_hllm(served[0])
    with pytest.raises(ValueError, match="empty"):
        recommender.recommend([])
    with pytest.raises(ValueError, match="empty"):
        recommender.recommend_all([["i1"], []])
    with pytest.raises(UnknownItemError, match="'nobody'"):
        recommender.recommend(["i1", "nobody"])


def test_changed_catalogue_is_noticed(served):
    changed = [*FIELDS, ("late", {"title": "a new book"})]
    with pytest.raises(StaleEmbeddingsError, match="1 items are new"):
        load_hllm(served[0], fields=changed)


def test_embeddings_of_another_model_are_noticed(served, tiny_model):
    with torch.no_grad():
        tiny_model.item_emb_tokens.add_(0.1)
    save_model(tiny_model, served[0])
    with pytest.raises(StaleEmbeddingsError, match="another model"):
        load_hllm(served[0])


def test_the_steps_say_how_they_run_here(served, tiny_model):
    folder, vectors = served
    recommender = load_hllm(folder)
    stages = recommender.stages()
    assert stages.width == vectors.shape[1]
    parameters = sum(p.numel() for p in tiny_model.user_llm.parameters())
    assert stages.user.num_parameters == parameters
    assert stages.user.num_bytes >= 4 * parameters and stages.user.precision == "fp32"
    assert stages.item.num_parameters == sum(p.numel() for p in tiny_model.item_llm.parameters())
    assert stages.item.num_bytes == 0 and stages.search.num_bytes == vectors.numel() * 4


def test_an_item_embedding_is_the_one_that_was_stored(served):
    folder, vectors = served
    torch.testing.assert_close(load_hllm(folder).item_embedding("i7"), vectors[7])


def test_reading_without_the_cache_gives_the_same_prediction(served):
    recommender = load_hllm(served[0])
    first = recommender.recommend(["i1", "i2", "i3"])
    assert (first.num_read, first.num_known) == (3, 0)
    whole = recommender.read_whole(["i1", "i2", "i3"])
    assert whole.num_read == 3 and whole.encode_ms > 0
    assert whole.cosine == pytest.approx(1.0, abs=1e-5)
    assert recommender.recommend(["i1", "i2", "i3", "i4"]).num_known == 3


def some_blend(embeddings):
    """Every text is another one, and item n has the neighbour n + 1."""
    size = len(embeddings.item_ids)
    return Blend(
        BlendWeights(text=0.5, rare_text=0.25, neighbours=0.4, decay=0.7),
        F.normalize(torch.randn(size, 8, generator=torch.Generator().manual_seed(7))).half(),
        torch.arange(size + 1),
        (torch.arange(size, dtype=torch.int32) + 1) % size,
        torch.linspace(0, 1, size),
        torch.arange(size, dtype=torch.int32),
        catalog_of(embeddings),
    )


@pytest.mark.parametrize("kind", ["exact", "approximate", "blend", "text"])
def test_a_list_is_chosen_among_the_best_by_the_models_own_embeddings(served, monkeypatch, kind):
    folder, vectors = served
    embeddings = ItemEmbeddings.load(folder / EMBEDDINGS)
    if kind == "approximate":
        monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
    if kind == "blend":
        some_blend(embeddings).save(folder / BLEND)
    recommender = TextBaseline(embeddings) if kind == "text" else load_hllm(folder, fields=FIELDS)
    history, counts = ["i3", "i1", "i8"], np.arange(30) ** 2
    plain = recommender.recommend(history, top_k=30).items
    off = recommender.recommend(history, top_k=30, diversity=0.0, less_popular=0.0)
    assert off.items == plain and off.by_score is None  # to the last bit
    options = {"diversity": 0.4, "less_popular": 0.3, "popularity": counts}
    found = recommender.recommend(history, top_k=5, **options)
    rows = np.array([recommender.item_ids.index(item.item_id) for item in plain])
    normalised = F.normalize(vectors[rows].float(), dim=-1).numpy()
    scores = np.array([item.score for item in plain])
    expected = Reranking(**options).choose(scores, normalised, rows, 5)
    assert [item.item_id for item in found.items] == [plain[place].item_id for place in expected]
    assert [item.score for item in found.items] == [plain[place].score for place in expected]
    assert found.by_score == plain[:5] and found.num_candidates == 30
    assert expected != list(range(5))
    allowed = np.array([3, 5, 8, 13, 21])
    few = recommender.recommend(history, top_k=10, allowed=allowed, **options)
    assert sorted(item.item_id for item in few.items) == ["i13", "i21", "i5"]
    with pytest.raises(ValueError, match="diversity must be a number from 0 to 1"):
        recommender.recommend(history, diversity=-1)
    with pytest.raises(ValueError, match="needs popularity"):
        recommender.recommend(history, less_popular=0.5)
