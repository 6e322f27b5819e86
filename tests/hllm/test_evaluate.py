import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.counts import TransitionGraph
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.checkpoint import save_model
from hllm.data import Interactions, eval_cases
from hllm.errors import CheckpointError, DataError
from hllm.evaluate import DataSet, baseline_scorers, evaluate_models, load_scorer
from hllm.evaluation.beyond_accuracy import text_space
from hllm.evaluation.metrics import recall_at
from hllm.evaluation.ranking import rank_cases
from hllm.evaluation.report import format_report
from hllm.split_options import SplitOptions
from tests.hllm.evaluation.cases import Fixed


def test_report_of_two_models(csv_pair):
    data = DataSet.read(*csv_pair)
    good = Fixed([0.0] * 12 + [1.0], "good")
    report = evaluate_models([good, good], data, progress=False)
    json.dumps(report, allow_nan=False)
    assert list(report["models"]) == ["good", "good (2)"]
    assert (report["num_cases"], report["num_items"]) == (30, 12)
    model = report["models"]["good"]
    ranks = rank_cases(good, eval_cases(data.interactions, "test"), progress=False)
    assert model["metrics"]["recall@5"] == pytest.approx(recall_at(ranks, 5).mean())
    low, high = model["intervals"]["recall@10"]
    assert low <= model["metrics"]["recall@10"] <= high
    assert sum(model["slices"][f"target {c}"]["num_cases"]
               for c in ("head", "middle", "tail", "cold")) == 30  # fmt: skip
    ratio = report["comparisons"]["good"]["good (2)"]["recall@10"]["ratio"]
    assert ratio["value"] == 1
    assert "good (2)" in format_report(report)


def test_beyond_accuracy_of_one_list_for_everybody(csv_pair):
    data = DataSet.read(*csv_pair)
    lists = Fixed(np.linspace(1, 0, 13).tolist(), "same")
    report = evaluate_models([lists], data, progress=False)
    found = report["models"]["same"]["beyond_accuracy"]
    assert report["diversity_space"] is None
    # The users have seen 4 to 7 of 12 items: 10 places are not filled, and yet nobody gets padding.
    assert found["coverage@10"] == 1 and 0 < found["gini@10"] < 0.5
    text = format_report(report)
    assert "no diversity: items have no categories" in text
    assert "| same  |      100.00 |" in text


def test_diversity_is_measured_by_the_categories_or_in_the_space_that_is_given(csv_pair):
    interactions, items = csv_pair
    items.write_text("item_id,categories\n" + "".join(f"i{n},all\n" for n in range(12)))
    data = DataSet.read(interactions, items)
    report = evaluate_models([Fixed([0.0] * 13)], data, progress=False)
    assert report["diversity_space"] == "categories"
    assert report["models"]["fixed"]["beyond_accuracy"]["diversity@10"] == pytest.approx(0)
    space = text_space(np.eye(13))
    report = evaluate_models([Fixed([0.0] * 13)], data, progress=False, space=space)
    assert report["models"]["fixed"]["beyond_accuracy"]["diversity@10"] == pytest.approx(1)
    assert "diversity by MiniLM texts" in format_report(report)


def test_the_untrained_graph_audits_the_data_set(csv_pair):
    data = DataSet.read(*csv_pair)
    graph, other = TransitionGraph(data.interactions), Fixed([0.0] * 12 + [1.0], "other")
    report = evaluate_models([other, graph], data, progress=False)
    assert report["shortcut_audit"] == {"Transition graph": {"other": 1.0}}
    # Every item leads to the next: this data set needs no model.
    assert report["models"]["Transition graph"]["metrics"]["recall@10"] == 1
    line = "Transition graph, untrained, has 100.00% of the targets among its 10 best"
    assert f"Shortcut audit: {line}; of what each model finds: other 100.00%" in format_report(
        report
    )
    assert evaluate_models([other], data, progress=False)["shortcut_audit"] == {}


@pytest.fixture
def with_untouched(csv_pair):
    """The same pair with two more items, of which nobody has any."""
    interactions, items = csv_pair
    items.write_text(items.read_text() + "new,Book 3\nnewer,Book 4\n")
    return interactions, items


def test_items_that_nobody_has_touched_are_ranked_and_counted(with_untouched):
    data = DataSet.read(*with_untouched)
    assert data.interactions.item_ids[-2:] == ["new", "newer"]
    assert data.fields[-2:] == [{"title": "Book 3"}, {"title": "Book 4"}]
    best = Fixed([0.0] * 13 + [1.0, 1.0], "best")  # both above every target
    report = evaluate_models([best], data, progress=False)
    assert (report["num_items"], report["num_untouched_items"]) == (14, 2)
    assert "14 candidate items (2 that nobody has touched" in format_report(report)
    touched = [score - 2 * (row > 12) for row, score in enumerate(best.scores.tolist())]
    without = evaluate_models([Fixed(touched)], data, progress=False)
    mrr = [r["models"][n]["metrics"]["mrr"] for r, n in ((report, "best"), (without, "fixed"))]
    assert mrr[0] < mrr[1]


def test_as_in_the_reference_only_items_with_interactions_are_candidates(with_untouched):
    data = DataSet.read(*with_untouched, reference_compatible=True)
    assert data.interactions.num_items == 13
    report = evaluate_models([Fixed([0.0] * 13)], data, progress=False)
    assert (report["num_items"], report["num_untouched_items"]) == (12, 0)
    assert "12 candidate items; percent" in format_report(report)


def test_an_id_model_ranks_last_what_nobody_has_touched(with_untouched, tmp_path):
    data = DataSet.read(*with_untouched)
    config = IDModelConfig(kind="sasrec", num_items=13, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path, data.interactions.item_ids[:13])
    scores = load_scorer(tmp_path, data).score([np.array([1, 2]), np.array([3])])
    assert scores.shape == (2, 15)
    assert (scores[:, 13:].amax(dim=1) < scores[:, 1:13].amin(dim=1)).all()


def test_an_id_model_of_fewer_items_is_one_of_another_data_set(with_untouched, tmp_path):
    data = DataSet.read(*with_untouched)
    config = IDModelConfig(kind="sasrec", num_items=12, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path, data.interactions.item_ids[:12])
    with pytest.raises(CheckpointError, match="trained on another data set"):
        load_scorer(tmp_path, data)


def test_a_score_that_is_not_finite_is_an_error(csv_pair):
    for bad in (math.nan, math.inf):
        with pytest.raises(CheckpointError, match="broken gives scores with NaN or infinity"):
            evaluate_models(
                [Fixed([0.0] * 12 + [bad], "broken")], DataSet.read(*csv_pair), progress=False
            )


def test_a_model_that_can_find_no_target_is_an_error(tmp_path):
    (tmp_path / "i.csv").write_text(
        "item_id,user_id,timestamp\n" + "".join(f"a,u{n},{t}\n" for n in range(3) for t in range(3))
    )
    (tmp_path / "x.csv").write_text("item_id,title\na,Emma\n")
    data = DataSet.read(tmp_path / "i.csv", tmp_path / "x.csv")
    with pytest.raises(DataError, match="fixed: no target was found among the 1 items"):
        evaluate_models([Fixed([0.0, 1.0])], data, reference_compatible=True, progress=False)


def test_sample_of_users_is_seeded(csv_pair):
    data = DataSet.read(*csv_pair)
    scorer = Fixed(np.linspace(0, 1, 13).tolist())
    reports = [
        evaluate_models([scorer], data, max_users=7, seed=seed, progress=False) for seed in (1, 1)
    ]
    assert reports[0]["num_cases"] == 7
    for report in reports:
        report["models"]["fixed"].pop("seconds")
    assert reports[0] == reports[1]


def test_nobody_to_evaluate():
    lonely = Interactions(["[PAD]", "a"], ["u"], np.array([1]), [np.array([1])])
    with pytest.raises(DataError, match="at least 3 interactions"):
        evaluate_models([], DataSet(lonely, [None, None]), phase="valid")


def test_the_catalogue_is_embedded_as_the_model_reads_it(csv_pair, tmp_path, tiny_model, tokenizer):
    save_model(tiny_model, tmp_path, tokenizer)
    data = DataSet.read(*csv_pair)
    scorer = load_scorer(tmp_path, data)
    with torch.no_grad():
        ids = tokenizer([tiny_model.config.item_prompt + "title: Book 3"])["input_ids"][0]
        embeddings = tiny_model.encode_items([ids])
        row = data.interactions.item_ids.index("i3")
        state = tiny_model.encode_users(embeddings.unsqueeze(0)).last_hidden_state[0]
        expected = F.cosine_similarity(state, embeddings)
    scores = scorer.score([np.array([row])])[0]
    assert len(set(scores[1:].tolist())) > 10  # the texts were not cut to the same prompt
    score = scores[row]
    assert score.item() == pytest.approx(expected.item(), abs=1e-5)


def test_id_model_of_another_data_set(csv_pair, tmp_path):
    config = IDModelConfig(kind="sasrec", num_items=3, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path, ["[PAD]", "x", "y"])
    with pytest.raises(CheckpointError, match="trained on another data set"):
        load_scorer(tmp_path, DataSet.read(*csv_pair))


HOLDING = SplitOptions(held_out_items=0.3, split_seed=4)  # five of the twelve items


def test_held_out_targets_have_tables_of_their_own(csv_pair):
    data = DataSet.read(*csv_pair, split=HOLDING)
    held_out = data.interactions.held_out
    finder = Fixed(held_out.astype(float).tolist(), "finder")  # ranks them before all others
    report = evaluate_models([finder, Fixed([0.0] * 13, "other")], data, progress=False)
    part = report["held_out"]
    cases = eval_cases(data.interactions, "test")
    assert part["num_cases"] == sum(held_out[case.target] for case in cases) > 0
    assert part["models"]["finder"]["metrics"]["recall@5"] == 1
    assert part["models"]["finder"]["intervals"]["recall@10"] == [1, 1]
    assert part["comparisons"]["finder"]["other"]["ndcg@10"]["ratio"]["value"] > 1
    counted = report["models"]["finder"]["slices"]["target held out"]["num_cases"]
    assert counted == part["num_cases"] < report["num_cases"]
    assert f"{counted} of these users have a target that was held out" in format_report(report)


def test_baselines_do_not_count_held_out_items(csv_pair):
    data = DataSet.read(*csv_pair, split=HOLDING)
    held_out = torch.from_numpy(data.interactions.held_out)
    history = np.array([12, 1, 2, 3])
    for scorer in baseline_scorers(["popularity", "item-knn", "transition-graph"], data, None):
        scores = scorer.score([history])[0]
        assert (scores[held_out] == 0).all() and (scores[~held_out] > 0).any()


def test_an_id_model_neither_reads_nor_recommends_what_was_held_out(csv_pair, tmp_path):
    data = DataSet.read(*csv_pair, split=HOLDING)
    known = data.num_trained
    assert known + data.interactions.held_out.sum() == 12
    config = IDModelConfig(kind="sasrec", num_items=known + 1, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path, data.interactions.item_ids[: known + 1])
    (tmp_path / "train.json").write_text(json.dumps({"held_out_items": 0.3, "split_seed": 4}))
    scores = load_scorer(tmp_path, data).score([np.array([1, 12, 2]), np.array([1, 2])])
    assert torch.equal(scores[0], scores[1])
    assert (scores[:, known + 1 :].amax(dim=1) < scores[:, 1 : known + 1].amin(dim=1)).all()


def test_a_model_that_has_seen_the_items_is_not_evaluated_on_them(csv_pair, model_folder):
    with pytest.raises(DataError, match="does not say with which split it was trained"):
        load_scorer(model_folder, DataSet.read(*csv_pair, split=HOLDING))
    (model_folder / "train.json").write_text("{}")
    with pytest.raises(DataError, match=r"held_out_items 0\.0 against 0\.3"):
        load_scorer(model_folder, DataSet.read(*csv_pair, split=HOLDING))
