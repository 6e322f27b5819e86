"""The command that evaluates: models and baselines in one report, and mistakes in one sentence."""

import json

import numpy as np
import pandas as pd
import pytest

from hllm import evaluate
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.checkpoint import save_model
from hllm.commands.evaluate import main
from hllm.evaluate import DataSet


def test_command_line_with_every_kind_of_model(
    csv_pair, tmp_path, tiny_model, tokenizer, capsys, monkeypatch
):
    save_model(tiny_model, tmp_path / "tiny", tokenizer)
    data = DataSet.read(*csv_pair)
    config = IDModelConfig(kind="sasrec", num_items=13, hidden_size=8, num_heads=2)
    save_id_model(make_id_model(config), tmp_path / "ids", data.interactions.item_ids)
    monkeypatch.setattr(
        evaluate, "sentence_embeddings", lambda texts, device: np.eye(len(texts), dtype=np.float32)
    )
    arguments = ["--interactions", str(csv_pair[0]), "--items", str(csv_pair[1])]
    arguments += ["--model", str(tmp_path / "tiny"), "--model", str(tmp_path / "ids")]
    arguments += ["--baselines", "popularity,item-knn,transition-graph-minilm,minilm-mean"]
    output = tmp_path / "results" / "out.json"
    arguments += ["--auc", "20", "--text-keys", "title", "--output", str(output)]
    assert main(arguments) == 0
    report = json.loads(output.read_text())
    assert list(report["models"]) == [
        "tiny", "ids", "Popularity", "Item-kNN", "Transition graph and MiniLM", "MiniLM mean",
    ]  # fmt: skip
    printed = capsys.readouterr().out
    assert "| tiny against" in printed
    assert "diversity by MiniLM texts" in printed
    assert report["models"]["Item-kNN"]["metrics"]["recall@5"] > 0.8
    assert report["models"]["Item-kNN"]["metrics"]["auc"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to evaluate"),
        (["--baselines", "magic"], "unknown baseline 'magic': choose from popularity"),
        (["--baselines", "itemknn"], "'itemknn' (did you mean item-knn?)"),
        (["--baselines", "popularity", "--max-users", "0"], "--max-users 0: must be at least 1"),
    ],
)
def test_command_line_mistakes(csv_pair, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(["--interactions", str(csv_pair[0]), "--items", str(csv_pair[1]), *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_missing_model_is_one_sentence_and_writes_nothing(csv_pair, tmp_path, caplog):
    output = tmp_path / "out.json"
    arguments = [
        "--interactions",
        str(csv_pair[0]),
        "--items",
        str(csv_pair[1]),
        "--output",
        str(output),
    ]
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
    csv_pair, tmp_path, tiny_model, tokenizer, monkeypatch, options, expected
):
    save_model(tiny_model, tmp_path / "tiny", tokenizer)
    table = pd.read_csv(csv_pair[1], dtype=str)
    table["item_note"] = "note " + table["item_id"].str.removeprefix("i")
    table.to_csv(tmp_path / "noted.csv", index=False)
    read = []

    def embeddings(texts, device):
        read.extend(texts)
        return np.eye(len(texts), dtype=np.float32)

    monkeypatch.setattr(evaluate, "sentence_embeddings", embeddings)
    options = [str(tmp_path / option) if option == "tiny" else option for option in options]
    arguments = ["--interactions", str(csv_pair[0]), "--items", str(tmp_path / "noted.csv")]
    assert main([*arguments, "--baselines", "minilm-last", *options]) == 0
    assert expected in read


def test_a_misspelt_key_of_the_baselines_is_an_error(csv_pair, tmp_path, caplog):
    arguments = ["--interactions", str(csv_pair[0]), "--items", str(csv_pair[1])]
    arguments += ["--baselines", "minilm-last", "--text-keys", "titel"]
    output = tmp_path / "out.json"
    assert main([*arguments, "--output", str(output)]) == 2
    assert "no column 'titel' with any text (did you mean title?): the columns" in caplog.text
    assert not output.exists()
