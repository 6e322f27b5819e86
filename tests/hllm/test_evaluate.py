import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from hllm import evaluate
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.checkpoint import save_model
from hllm.data import EvalCase, Interactions, eval_cases
from hllm.errors import CheckpointError, DataError
from hllm.evaluate import DataSet, evaluate_models, load_scorer, main
from hllm.evaluation.metrics import recall_at
from hllm.evaluation.ranking import mask_seen, rank_cases, tie_permutation
from hllm.evaluation.report import comparison_report, format_report, json_ready, markdown_table
from hllm.evaluation.scorers import HLLMScorer, IDModelScorer, pad_histories
from hllm.evaluation.slices import (
    bootstrap_means,
    compare,
    estimate_mean,
    interval,
    popularity_classes,
    slice_masks,
)
from hllm.model import to_bfloat16

INF = math.inf


class Fixed:
    """Gives everybody the same scores."""

    def __init__(self, scores, name="fixed"):
        self.name = name
        self.scores = torch.tensor(scores)
        self.sizes = []

    def score(self, histories):
        self.sizes.append(len(histories))
        return self.scores.expand(len(histories), -1)


def case(history, target, user=0):
    return EvalCase(user, np.array(history, dtype=np.int64), target)


def rank(scores, *cases, **options):
    return rank_cases(Fixed(scores), cases, progress=False, **options).tolist()


def test_history_and_padding_are_no_candidates():
    scores = [9.0, 0.9, 0.8, 0.7, 0.6]
    assert rank(scores, case([1], 3), case([1, 2], 3), case([4], 1)) == [2, 1, 1]


def test_whole_history_is_masked_not_only_what_the_model_reads():
    scores = [0.0, *np.linspace(1, 0.1, 60)]
    assert rank(scores, case(list(range(1, 60)), 60)) == [1]


def test_repeated_target_is_findable_unless_as_in_the_reference():
    scores, repeated = [0.0, 0.9, 0.8, 0.7], case([2, 1, 2], 2)
    assert rank(scores, repeated) == [1]
    assert rank(scores, repeated, reference_compatible=True) == [INF]


def test_masking_leaves_the_models_scores_alone():
    scores = torch.ones(1, 4)
    masked = mask_seen(scores, [case([1, 3], 2)])
    assert masked.tolist() == [[-INF, -INF, 1, -INF]]
    assert scores.tolist() == [[1, 1, 1, 1]]


def test_ranks_come_in_the_order_of_the_cases_whatever_the_batch():
    generator = np.random.default_rng(0)
    scores = generator.random(40).tolist()
    cases = [
        case(generator.integers(1, 40, generator.integers(1, 20)), int(generator.integers(1, 40)))
        for _ in range(23)
    ]
    whole = rank(scores, *cases)
    assert whole == rank(scores, *cases, batch_size=1) == rank(scores, *cases, batch_size=5)
    scorer = Fixed(scores)
    rank_cases(scorer, cases, batch_size=10, progress=False)
    assert scorer.sizes == [10, 10, 3]


def test_ties_are_decided_by_the_fixed_permutation():
    order = tie_permutation(30).tolist()
    ranks = [rank([0.5] * 30, case([], target))[0] for target in range(1, 30)]
    others = [order[1:].index(value) for value in sorted(order[1:])]
    assert [ranks[position] for position in others] == list(range(1, 30))


def test_no_cases():
    assert rank([0.0, 1.0]) == []


def test_histories_padded_on_the_right_and_cut_to_the_newest():
    items, lengths = pad_histories([np.array([1, 2, 3]), np.array([4]), np.array([], int)], 2)
    assert items.tolist() == [[2, 3], [4, 0], [0, 0]]
    assert lengths.tolist() == [2, 1, 1]


@torch.no_grad()
def test_hllm_scores_are_cosines_of_the_last_state(tiny_model):
    embeddings = torch.randn(12, 32)
    histories = [np.array([1, 2, 3]), np.arange(1, 10), np.array([5])]
    scores = HLLMScorer(tiny_model, embeddings).score(histories)
    for row, history in enumerate(histories):
        recent = embeddings[torch.from_numpy(history[-6:])]
        state = tiny_model.encode_users(recent.unsqueeze(0)).last_hidden_state[0, -1]
        expected = F.cosine_similarity(state.unsqueeze(0), embeddings)
        torch.testing.assert_close(scores[row], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_bfloat16_is_near_and_coarse(tiny_model):
    embeddings, histories = torch.randn(200, 32), [np.array([1, 2, 3])]
    exact = HLLMScorer(tiny_model, embeddings).score(histories)
    frequencies = tiny_model.user_llm.rotary_emb.inv_freq.clone()
    to_bfloat16(tiny_model)
    assert tiny_model.dtype == torch.bfloat16
    assert torch.equal(tiny_model.user_llm.rotary_emb.inv_freq, frequencies)
    coarse = HLLMScorer(tiny_model, embeddings, bf16=True).score(histories)
    assert coarse.dtype == torch.float32
    assert torch.equal(coarse, coarse.bfloat16().float())
    assert 0 < (coarse - exact).abs().max() < 0.1


def test_id_models_are_scored_alike():
    torch.manual_seed(0)
    model = make_id_model(IDModelConfig(kind="hstu", num_items=9, hidden_size=8, num_heads=2))
    histories = [np.array([1, 2, 3]), np.array([4])]
    scores = IDModelScorer(model.eval(), name="HSTU").score(histories)
    with torch.no_grad():
        states = model.encode_users(model.item_embeddings(torch.tensor([[1, 2, 3]])))
        expected = F.cosine_similarity(states[0, -1:], model.item_embeddings())
    torch.testing.assert_close(scores[0], expected, atol=1e-5, rtol=1e-4)


def test_popularity_classes_by_hand():
    counts = np.array([0, 100, 50, 50, 50, 9, 8, 7, 3, 3, 3, 0])
    classes = popularity_classes(counts).tolist()
    # 10 items occur; head: place 0; middle: places 1 to 4; tail: places 5 to 9
    assert classes == ["cold", "head", *["middle"] * 4, *["tail"] * 5, "cold"]


def test_items_of_equal_count_are_in_the_same_class():
    assert set(popularity_classes(np.array([0, *[3] * 20])).tolist()) == {"cold", "head"}


def test_slices():
    cases = [
        case(range(1, n + 1), target) for n, target in ((1, 1), (5, 9), (6, 9), (20, 9), (21, 2))
    ]
    masks = slice_masks(cases, np.array([0, 0, 4, *[1] * 19]))
    assert masks["history 1-5"].tolist() == [True, True, False, False, False]
    assert masks["history 6-10"].tolist() == [False, False, True, False, False]
    assert masks["history 11-20"].tolist() == [False, False, False, True, False]
    assert masks["history 21+"].tolist() == [False, False, False, False, True]
    assert masks["target cold"].tolist() == [True, False, False, False, False]
    assert masks["target head"].tolist() == [False, True, True, True, True]
    assert masks["target repeated"].tolist() == [True, False, False, True, True]


def test_bootstrap_agrees_with_resampling_case_by_case():
    generator = np.random.default_rng(0)
    values = (generator.random(400) < 0.1).astype(float)
    quick = bootstrap_means(values[:, None], num_resamples=4000)[:, 0]
    slow = values[generator.integers(0, 400, (4000, 400))].mean(axis=1)
    assert quick.mean() == pytest.approx(slow.mean(), abs=0.002)
    assert quick.std() == pytest.approx(slow.std(), rel=0.1)
    assert interval(quick) == pytest.approx(interval(slow), abs=0.006)


def test_bootstrap_is_seeded_and_paired():
    values = np.random.default_rng(1).random(50)
    assert estimate_mean(values) == estimate_mean(values)
    difference, ratio = compare(values + 0.25, values)
    assert (difference.value, difference.low, difference.high) == pytest.approx((0.25,) * 3)
    assert ratio.low < ratio.value < ratio.high


def test_nothing_to_compare_with():
    assert math.isnan(estimate_mean(np.zeros(0)).value)
    difference, ratio = compare(np.ones(5), np.zeros(5))
    assert difference.value == 1
    assert ratio.value == INF
    assert json_ready(ratio.value) is None


def test_comparison_of_a_model_with_the_others():
    ranks = {"a": np.array([1.0, 2, 30, 4]), "b": np.array([30.0, 2, 30, 30])}
    report = comparison_report(ranks, "a")
    assert report["b"]["recall@10"]["difference"]["value"] == pytest.approx(0.5)
    assert report["b"]["recall@10"]["ratio"]["value"] == pytest.approx(3)


def test_table_is_aligned():
    table = markdown_table(["model", "x"], [["a", "1.00"], ["longer", "10.00"]])
    assert table.splitlines() == [
        "| model  |     x |",
        "| ------ | ----: |",
        "| a      |  1.00 |",
        "| longer | 10.00 |",
    ]


@pytest.fixture
def files(tmp_path):
    """A csv pair: 30 users walk in circles over 12 items, each item leading to the next."""
    rows = [
        f"i{(user + step) % 12},u{user},{step}"
        for user in range(30)
        for step in range(5 + user % 4)
    ]
    interactions = tmp_path / "interactions.csv"
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]))
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n" + "".join(f"i{n},Book {n}\n" for n in range(11)))
    return interactions, items


def test_report_of_two_models(files):
    data = DataSet.read(*files)
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


def test_a_score_that_is_not_finite_is_an_error(files):
    for bad in (math.nan, math.inf):
        with pytest.raises(CheckpointError, match="broken gives scores with NaN or infinity"):
            evaluate_models(
                [Fixed([0.0] * 12 + [bad], "broken")], DataSet.read(*files), progress=False
            )


def test_a_model_that_can_find_no_target_is_an_error(tmp_path):
    (tmp_path / "i.csv").write_text(
        "item_id,user_id,timestamp\n" + "".join(f"a,u{n},{t}\n" for n in range(3) for t in range(3))
    )
    (tmp_path / "x.csv").write_text("item_id,title\na,Emma\n")
    data = DataSet.read(tmp_path / "i.csv", tmp_path / "x.csv")
    with pytest.raises(DataError, match="fixed: no target was found among the 1 items"):
        evaluate_models([Fixed([0.0, 1.0])], data, reference_compatible=True, progress=False)


def test_sample_of_users_is_seeded(files):
    data = DataSet.read(*files)
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


def test_command_line_with_every_kind_of_model(
    files, tmp_path, tiny_model, tokenizer, capsys, monkeypatch
):
    save_model(tiny_model, tmp_path / "tiny", tokenizer)
    data = DataSet.read(*files)
    config = IDModelConfig(kind="sasrec", num_items=13, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path / "ids", data.interactions.item_ids)
    monkeypatch.setattr(
        evaluate, "sentence_embeddings", lambda texts, device: np.eye(len(texts), dtype=np.float32)
    )
    arguments = ["--interactions", str(files[0]), "--items", str(files[1])]
    arguments += ["--model", str(tmp_path / "tiny"), "--model", str(tmp_path / "ids")]
    arguments += ["--baselines", "popularity,item-knn,minilm-mean,minilm-last,minilm-decay"]
    output = tmp_path / "results" / "out.json"
    arguments += ["--auc", "20", "--text-keys", "title", "--output", str(output)]
    assert main(arguments) == 0
    report = json.loads(output.read_text())
    assert list(report["models"]) == [
        "tiny", "ids", "Popularity", "Item-kNN", "MiniLM mean", "MiniLM last", "MiniLM decay",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "| tiny against" in printed
    assert report["models"]["Item-kNN"]["metrics"]["recall@5"] > 0.8
    assert report["models"]["Item-kNN"]["metrics"]["auc"] > 0.8


def test_the_catalogue_is_embedded_as_the_model_reads_it(files, tmp_path, tiny_model, tokenizer):
    save_model(tiny_model, tmp_path, tokenizer)
    data = DataSet.read(*files)
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


def test_id_model_of_another_data_set(files, tmp_path):
    config = IDModelConfig(kind="sasrec", num_items=3, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path, ["[PAD]", "x", "y"])
    with pytest.raises(CheckpointError, match="trained on another data set"):
        load_scorer(tmp_path, DataSet.read(*files))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to evaluate"),
        (["--baselines", "magic"], "unknown baseline 'magic': choose of popularity"),
        (["--baselines", "popularity", "--max-users", "0"], "--max-users 0: must be at least 1"),
    ],
)
def test_command_line_mistakes(files, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["--interactions", str(files[0]), "--items", str(files[1]), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_model_is_one_sentence_and_writes_nothing(files, tmp_path, caplog):
    output = tmp_path / "out.json"
    arguments = ["--interactions", str(files[0]), "--items", str(files[1]), "--output", str(output)]
    assert main([*arguments, "--model", str(tmp_path / "nowhere")]) == 2
    assert "No HLLM model at" in caplog.text
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--model", "tiny"], "Book 3"),
        (["--model", "tiny", "--text-keys", "title,item_note"], "Book 3. note 3"),
        ([], "Book 3"),
    ],
)
def test_baselines_read_what_the_first_hllm_reads(
    files, tmp_path, tiny_model, tokenizer, monkeypatch, options, expected
):
    save_model(tiny_model, tmp_path / "tiny", tokenizer)
    table = pd.read_csv(files[1], dtype=str)
    table["item_note"] = "note " + table["item_id"].str.removeprefix("i")
    table.to_csv(tmp_path / "noted.csv", index=False)
    read = []

    def embeddings(texts, device):
        read.extend(texts)
        return np.eye(len(texts), dtype=np.float32)

    monkeypatch.setattr(evaluate, "sentence_embeddings", embeddings)
    options = [str(tmp_path / option) if option == "tiny" else option for option in options]
    arguments = ["--interactions", str(files[0]), "--items", str(tmp_path / "noted.csv")]
    assert main([*arguments, "--baselines", "minilm-last", *options]) == 0
    assert expected in read


def test_a_misspelt_key_of_the_baselines_is_an_error(files, tmp_path, caplog):
    arguments = ["--interactions", str(files[0]), "--items", str(files[1])]
    arguments += ["--baselines", "minilm-last", "--text-keys", "titel"]
    output = tmp_path / "out.json"
    assert main([*arguments, "--output", str(output)]) == 2
    assert "no column 'titel' with any text: the columns are title" in caplog.text
    assert not output.exists()
