"""The command that embeds a catalogue for the baseline: which columns it reads, what it refuses."""

import pytest
import torch

from hllm import sentence
from hllm.baselines.text_recommender import load_text_baseline
from hllm.checkpoint import save_model
from hllm.commands.sentence import main


@pytest.fixture
def encoded(monkeypatch):
    """Texts that went through the sentence encoder, which is not loaded."""
    seen = []

    def encode(texts):
        seen.extend(texts)
        yield list(range(len(texts))), torch.ones(len(texts), 384)

    monkeypatch.setattr(sentence, "open_encoder", lambda: encode)
    return seen


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "items.csv"
    path.write_text("item_id,title,description\na,Emma,A novel\nb,Dune,Sand\n")
    return str(path)


def test_the_baseline_reads_what_its_model_reads(make_model, tokenizer, tmp_path, items, encoded):
    save_model(make_model(text_keys=["title"]), tmp_path / "run", tokenizer)
    assert main(["--model", str(tmp_path / "run"), "--items", items]) == 0
    assert encoded == ["Emma", "Dune"]
    baseline = load_text_baseline(tmp_path / "run" / "baseline.safetensors")
    assert baseline.text_keys == ("title",)


def test_chosen_keys_and_those_without_a_model(tmp_path, items, encoded):
    output = str(tmp_path / "b.safetensors")
    assert main(["--items", items, "--output", output]) == 0
    assert encoded == ["Dune. Sand", "Emma. A novel"]
    encoded.clear()
    assert main(["--items", items, "--text-keys", "description, title", "--output", output]) == 0
    assert encoded == ["Sand. Dune", "A novel. Emma"]
    encoded.clear()
    assert main(["--items", items, "--text-keys", "description, title", "--output", output]) == 0
    assert encoded == []


def test_a_misspelt_key_is_an_error_and_nothing_is_written(tmp_path, items, encoded, caplog):
    output = tmp_path / "b.safetensors"
    assert main(["--items", items, "--text-keys", "titel", "--output", str(output)]) == 2
    assert (
        "no column 'titel' with any text (did you mean title?): the columns are title, description"
        in caplog.text
    )
    assert not output.exists()
    assert encoded == []


def test_without_a_place_to_write_to_nothing_starts(items, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--items", items])
    assert stop.value.code == 2
    assert "give --model FOLDER, or --output FILE" in capsys.readouterr().err


@pytest.mark.parametrize("config", [None, "{", '{"model_type": "bert"}', '{"model_type": "hllm"'])
def test_a_folder_that_is_no_hllm_is_one_clear_error(tmp_path, items, encoded, caplog, config):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    assert main(["--model", str(tmp_path), "--items", items]) == 2
    assert "No HLLM model at" in caplog.text or "is not the configuration of an HLLM" in caplog.text
    assert encoded == []
