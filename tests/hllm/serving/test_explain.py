"""Questions about one item against what `recommend` says, item by item left out."""

import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.text_recommender import SENTENCE_FINGERPRINT, TextBaseline
from hllm.checkpoint import load_model
from hllm.errors import UnknownItemError
from hllm.model_folder import ModelFolder
from hllm.recommend import Recommender
from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.serving.incremental import TransformersIncremental
from hllm.serving.onnx_incremental import OnnxIncremental, prepare_onnx
from hllm.serving.user_model import UserModel
from hllm.store import ItemEmbeddings

N = 30
IDS = [f"i{number}" for number in range(N)]
LONG = [f"i{number}" for number in range(9)]  # the tiny model reads 6


def some_embeddings(width, fingerprint="f" * 16):
    vectors = torch.randn(N, width, generator=torch.Generator().manual_seed(5))
    return ItemEmbeddings(IDS, ["00" * 8] * N, vectors, fingerprint)


def some_blend(embeddings):
    """Item n has the neighbours n + 1 and n + 2, but every fifth one has none."""
    pairs = [[] if n % 5 == 0 else [(n + 1) % N, (n + 2) % N] for n in range(N)]
    flat = [near for found in pairs for near in found]
    noise = torch.Generator().manual_seed(7)
    return Blend(
        BlendWeights(text=0.5, rare_text=0.25, neighbours=0.4, decay=0.7),
        F.normalize(torch.randn(N, 8, generator=noise), dim=1).half(),
        torch.tensor([0, *torch.tensor([len(found) for found in pairs]).cumsum(0)]),
        torch.tensor(flat, dtype=torch.int32),
        torch.rand(len(flat), generator=noise),
        torch.arange(N, dtype=torch.int32),
        catalog_of(embeddings),
    )


def hllm(model, steps=None, precision="fp32", **options):
    steps = steps or TransformersIncremental(model.user_llm, model.config.max_history)
    embeddings = some_embeddings(model.config.embedding_size)
    if options.pop("blended", False):
        options["blend"] = some_blend(embeddings)
    return Recommender(
        UserModel(steps, precision, "cpu", 1000, 4000), model.config, embeddings, **options
    )


@pytest.fixture(params=["plain", "blend", "stride", "text", "int4", "int8", "approximate"])
def recommender(request, tiny_model, folder, tmp_path, monkeypatch):
    kind = request.param
    if kind == "approximate":
        monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
    if kind == "text":
        return TextBaseline(some_embeddings(8, SENTENCE_FINGERPRINT))
    if kind.startswith("int"):
        graph = prepare_onnx(ModelFolder.of(folder), tmp_path / "graphs", bits=int(kind[3:]))
        return hllm(load_model(folder)[0], OnnxIncremental(graph, threads=1), kind)
    options = {"blend": {"blended": True}, "stride": {"window_stride": 3}}.get(kind, {})
    return hllm(tiny_model, **options)


def recommended(recommender, history):
    """By item id."""
    return {item.item_id: item for item in recommender.recommend(history, top_k=N).items}


def test_several_items_are_explained_as_each_by_itself(recommender):
    history, items = LONG[:5], ["i29", "i12", "i20"]
    together = recommender.explain_all(history, items)
    for item, changes in zip(items, together, strict=True):
        alone = recommender.explain(history, item)
        assert [change.item_id for change in changes] == history
        assert [change.change for change in changes] == pytest.approx(
            [change.change for change in alone], abs=1e-6
        )
    assert recommender.explain_all(history, []) == []
    with pytest.raises(ValueError, match="one item"):
        recommender.explain_all(["i1"], items)


@pytest.mark.parametrize("history", [LONG[:2], LONG[:5], LONG, ["i4", "i4", "i2"]])
def test_a_change_is_that_of_recommending_without_the_item(recommender, history):
    item = "i29"
    score = recommended(recommender, history)[item].score
    found = recommender.explain(history, item)
    assert [change.item_id for change in found] == list(history)
    for place, change in enumerate(found):
        rest = [*history[:place], *history[place + 1 :]]
        left = recommended(recommender, rest)[item].score
        assert change.change == pytest.approx(left - score, abs=1e-5)
    assert any(abs(change.change) > 1e-3 for change in found)


def test_ranks_and_scores_are_those_of_recommending(recommender):
    history = LONG[:4]
    for item_id, item in recommended(recommender, history).items():
        found = recommender.rank_of(history, item_id)
        assert (found.item_id, found.rank, found.num_ranked) == (item_id, item.rank, N - 4)
        assert found.score == pytest.approx(item.score, abs=1e-6)


def test_similar_items_are_the_nearest_by_cosine(recommender):
    vectors = F.normalize(recommender._index.vectors.float(), dim=-1)
    cosines = vectors @ vectors[3]
    cosines[3] = -2
    found = recommender.similar("i3", 5)
    assert [near.item_id for near in found] == [IDS[row] for row in cosines.topk(5).indices]
    assert [near.cosine for near in found] == pytest.approx(cosines.topk(5).values.tolist())
    assert len(recommender.similar("i3", N + 5)) == N - 1


def test_equal_scores_rank_by_row(tiny_model):
    recommender = hllm(tiny_model)
    recommender._index.vectors[20] = recommender._index.vectors[10]
    ranks = [recommender.rank_of(["i1"], item).rank for item in ("i10", "i20")]
    assert ranks[1] == ranks[0] + 1
    assert ranks == [recommended(recommender, ["i1"])[item].rank for item in ("i10", "i20")]


def test_far_items_of_a_large_catalogue_have_a_score_but_no_rank(tiny_model, monkeypatch):
    exact = hllm(tiny_model).recommend(["i1"], top_k=N).items
    monkeypatch.setattr("hllm.recommend.APPROXIMATE_FROM", 0)
    monkeypatch.setattr("hllm.serving.approximate_index.RANK_DEPTH", 3)
    recommender = hllm(tiny_model)
    found = [recommender.rank_of(["i1"], item.item_id) for item in exact[:5]]
    assert [(at.rank, at.num_ranked) for at in found] == [
        (1, 3),
        (2, 3),
        (3, 3),
        (None, 3),
        (None, 3),
    ]
    assert [at.score for at in found] == pytest.approx([item.score for item in exact[:5]], abs=1e-6)


def test_nothing_is_remembered_of_histories_that_nobody_has(tiny_model):
    recommender = hllm(tiny_model)
    recommender.explain(LONG[:4], "i29")
    assert recommender._encoder.counts.encoded == 0


def test_questions_without_an_answer_say_why(recommender):
    for ask in (recommender.explain, recommender.rank_of):
        with pytest.raises(ValueError, match="empty"):
            ask([], "i1")
        with pytest.raises(ValueError, match="'i1' is in the history"):
            ask(["i1", "i2"], "i1")
        with pytest.raises(UnknownItemError, match="'nobody'"):
            ask(["i1", "i2"], "nobody")
    with pytest.raises(ValueError, match="one item"):
        recommender.explain(["i1"], "i2")
    with pytest.raises(UnknownItemError, match="'nobody'"):
        recommender.similar("nobody")
