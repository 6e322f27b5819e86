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
from hllm.commands.evaluate import main
from hllm.data import Interactions, eval_cases
from hllm.errors import CheckpointError, DataError
from hllm.evaluate import DataSet, evaluate_models, load_scorer
from hllm.evaluation.metrics import recall_at
from hllm.evaluation.ranking import rank_cases
from hllm.evaluation.report import format_report
from tests.hllm.evaluation.cases import Fixed


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


@pytest.fixture
def with_untouched(files):
    """The same pair with two more items, of which nobody has any."""
    interactions, items = files
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
