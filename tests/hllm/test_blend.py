"""Fitting a blend: which weights are taken, and that evaluation and recommendation then use it."""

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
import torch

from hllm import evaluate
from hllm.baselines.counts import ItemKNN
from hllm.blend import ALONE, UNSEEN, Quality, _choose, _ranks, fit_blend, save_blend
from hllm.checkpoint import save_model
from hllm.commands.embed import main as embed_command
from hllm.data import eval_cases
from hllm.embed import embed_items
from hllm.errors import CheckpointError, DataError, StaleEmbeddingsError
from hllm.evaluate import DataSet, evaluate_models, load_scorer, with_blend
from hllm.evaluation.scorers import BlendedScorer
from hllm.recommend import Recommender, load_hllm
from hllm.serving.blend import BlendWeights
from hllm.split_options import SplitOptions
from hllm.store import BLEND, EMBEDDINGS

SENTENCES = np.random.default_rng(5).normal(size=(13, 8)).astype(np.float32)
SENTENCES /= np.linalg.norm(SENTENCES, axis=1, keepdims=True)


@pytest.fixture
def data(csv_pair):
    return DataSet.read(*csv_pair)


@pytest.fixture
def folder(model_folder, tiny_model, data, monkeypatch):
    """A model with embeddings of the twelve items, in another order than the data set's."""
    monkeypatch.setattr("hllm.blend.sentence_vectors", lambda *args, **options: SENTENCES)
    titles = [
        (item_id, tiny_model.config.item_text(fields))
        for item_id, fields in zip(data.interactions.item_ids[1:], data.fields[1:], strict=True)
    ]
    embed_items(model_folder, titles[::-1], model_folder / EMBEDDINGS, half=False, progress=False)
    return model_folder


def quality(ndcg, recall=0.2, tail=0.1, unseen=0.2):
    return Quality(recall, ndcg, {"target tail": tail, UNSEEN: unseen})


def test_the_best_weights_that_keep_rare_items_are_taken():
    text = quality(0.01, tail=0.08)
    good, better, poor = (BlendWeights(n, 0.0, 0.0, 0.7) for n in (1.0, 2.0, 3.0))
    found = {
        ALONE: quality(0.10, tail=0.02),
        good: quality(0.12),
        better: quality(0.15, tail=0.07),
        poor: quality(0.20, recall=0.19),
    }
    assert _choose(found, found[ALONE], (text, quality(0.02, tail=0.05))) == (good, True)
    latest = quality(0.02, tail=0.11)
    assert _choose(found, found[ALONE], (text, latest)) == (poor, False)
    assert _choose({**found, good: quality(0.098)}, found[ALONE], (text, text)) == (poor, False)


@pytest.mark.parametrize(("of_text", "of_hllm"), [(0.15, 0.2), (0.2, 0.15)])
def test_items_that_nobody_has_are_kept_where_validation_has_none_of_them(of_text, of_hllm):
    text, alone = quality(0.01, unseen=of_text), quality(0.10, unseen=of_hllm)
    buries, keeps = (BlendWeights(0.0, 0.0, n, 0.7) for n in (0.8, 0.2))
    found = {
        ALONE: alone,
        buries: quality(0.15, unseen=0.19),
        keeps: quality(0.12, unseen=0.2),
    }
    assert _choose(found, alone, (text, text)) == (keeps, True)


def test_a_target_ranked_as_if_never_bought_has_no_neighbours_and_all_its_text(folder, data):
    blend = fit_blend(folder, data, ["title"], progress=False).blend
    scorer = BlendedScorer(
        load_scorer(folder, data), blend, load_hllm(folder).item_ids, data.interactions.item_ids
    )
    cases = eval_cases(data.interactions, "valid")
    weights = BlendWeights(0.3, 0.8, 0.4, 0.7)
    unseen = _ranks(scorer, cases, [weights], progress=False)[1][weights]
    factors = (1 / (1 + scorer.counts.double()).sqrt()).tolist()
    parts = [part.tolist() for part in scorer.parts([case.history for case in cases])]
    for case, rank, cosine, text, near in zip(cases, unseen, *parts, strict=True):
        others = {*range(1, len(cosine))} - {*case.history.tolist()} - {case.target}
        own = cosine[case.target] + (0.3 + 0.8) * text[case.target]
        better = [
            item
            for item in others
            if cosine[item] + (0.3 + 0.8 * factors[item]) * text[item] + 0.4 * near[item] > own
        ]
        assert rank == 1 + len(better)


def test_neighbours_and_counts_are_those_of_the_training_part(folder, data):
    blend = fit_blend(folder, data, ["title"], progress=False).blend
    order = [data.interactions.item_ids.index(f) for f in load_hllm(folder).item_ids]
    histories = [case.history for case in eval_cases(data.interactions, "test")]
    row = {index: place for place, index in enumerate(order)}
    _, near = blend.parts([[row[index] for index in history] for history in histories])
    expected = ItemKNN(data.interactions).score(histories)[:, order]
    assert torch.allclose(near, expected / expected.amax(dim=1, keepdim=True), atol=1e-6)
    counts = np.bincount(np.concatenate([s[:-2] for s in data.interactions.sequences]))
    assert blend.counts.tolist() == [int(counts[index]) for index in order]


def test_circles_are_found_better_with_neighbours(folder, data):
    fit = fit_blend(folder, data, ["title"], progress=False)
    assert fit.num_users == 30
    assert fit.chosen.ndcg > fit.alone.ndcg and fit.blend.weights.neighbours > 0


def test_weights_see_no_item_that_is_held_out(folder, csv_pair, monkeypatch):
    split = SplitOptions(held_out_items=0.3)
    (folder / "train.json").write_text(json.dumps(asdict(split)))
    data = DataSet.read(*csv_pair, split=split)
    held = data.interactions.held_out
    seen, real = [], BlendedScorer.parts

    def watched(self, histories):
        seen.extend(np.concatenate(histories).tolist())
        return real(self, histories)

    monkeypatch.setattr(BlendedScorer, "parts", watched)
    fit = fit_blend(folder, data, ["title"], progress=False)
    assert 0 < fit.num_users < 30 and seen and not held[seen].any()
    order = [data.interactions.item_ids.index(item_id) for item_id in load_hllm(folder).item_ids]
    assert not fit.blend.counts[torch.tensor(held[order])].any()


def test_evaluation_and_recommendation_agree_on_the_blend(folder, data):
    plain = Recommender.from_pretrained(folder)
    save_blend(folder, fit_blend(folder, data, ["title"], progress=False).blend)
    scorers = list(with_blend(load_scorer(folder, data), folder, data))
    assert [scorer.name for scorer in scorers] == ["model, blended", "model"]
    recommender = Recommender.from_pretrained(folder)
    assert recommender.model == f"{plain.model} + text and item-kNN"
    ids = data.interactions.item_ids
    cases = eval_cases(data.interactions, "test")[:5]
    histories = [[ids[index] for index in case.history] for case in cases]
    together = recommender.recommend_all(histories, top_k=20)
    for case, history, found in zip(cases, histories, together, strict=True):
        scores = scorers[0].score([case.history])[0]
        alone = recommender.recommend(history, top_k=20).items
        for items in (found, alone):
            assert {item.item_id for item in items} == {*ids[1:]} - {*history}
            assert [item.score for item in items] == pytest.approx(
                [scores[ids.index(item.item_id)].item() for item in items], abs=1e-5
            )
            assert all(a.score >= b.score for a, b in pairwise(items))
        first = recommender.recommend(history, allowed=np.array([0, 3])).items
        expected = {recommender.item_ids[0], recommender.item_ids[3]} - {*history}
        assert {item.item_id for item in first} == expected
    report = evaluate_models(scorers, data, progress=False)
    assert set(report["models"]) == {"model, blended", "model"}


def test_a_blend_of_another_time_or_catalogue_is_refused(folder, data, tiny_model, tmp_path):
    save_blend(folder, fit_blend(folder, data, ["title"], progress=False).blend)
    (tmp_path / "items.csv").write_text("item_id,title\ni0,Only\n")
    other = DataSet.read(tmp_path / "interactions.csv", tmp_path / "items.csv")
    (tmp_path / "more.csv").write_text("item_id,title\nnew,One more\n")
    more = DataSet.read(tmp_path / "interactions.csv", tmp_path / "more.csv")
    with pytest.raises(CheckpointError, match="of other items"):
        next(with_blend(load_scorer(folder, more), folder, more))
    with pytest.raises(DataError, match="was trained on"):
        fit_blend(folder, more, ["title"], progress=False)
    assert next(with_blend(load_scorer(folder, other), folder, other)).name == "model, blended"
    texts = [(item_id, "another text") for item_id in data.interactions.item_ids[1:]]
    embed_items(folder, texts, folder / EMBEDDINGS, progress=False)
    with pytest.raises(StaleEmbeddingsError, match=BLEND):
        load_hllm(folder)


def test_a_click_model_has_no_blend(make_model, tokenizer, data, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "sentence_embeddings", None)
    model = make_model(objective="late_fusion")
    save_model(model, tmp_path / "click", tokenizer)
    titles = [(i, model.config.item_text(None)) for i in data.interactions.item_ids[1:]]
    embed_items(tmp_path / "click", titles, tmp_path / "click" / EMBEDDINGS, progress=False)
    with pytest.raises(CheckpointError, match="no generative HLLM"):
        fit_blend(tmp_path / "click", data, ["title"], progress=False)


def test_embedding_anew_says_that_the_blend_is_of_other_embeddings(folder, data, csv_pair, caplog):
    save_blend(folder, fit_blend(folder, data, ["title"], progress=False).blend)
    assert embed_command(["--model", str(folder), "--items", str(csv_pair[1])]) == 0
    assert f"{BLEND} was made for other item embeddings" in caplog.text
    assert "make it again with  python -m hllm.blend" in caplog.text
    (folder / BLEND).unlink()
    caplog.clear()
    assert embed_command(["--model", str(folder), "--items", str(csv_pair[1])]) == 0
    assert "made for other" not in caplog.text
