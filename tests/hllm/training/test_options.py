"""Options of a run: files and presets of them, and what cannot be."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from hllm.baselines.id_models import IDModelConfig
from hllm.baselines.id_presets import ID_PRESETS
from hllm.errors import DataError
from hllm.train import parse_options
from hllm.training.options import GROUPS, ModelOptions, TrainOptions, save_options
from tests.hllm.training.runs import small_trainer

ROOT = Path(__file__).parents[3]


def test_unknown_precision_is_one_clear_error(small, tmp_path):
    with pytest.raises(DataError, match="--precision fp8: must be one of"):
        small_trainer(small, tmp_path / "run", precision="fp8")


@pytest.mark.parametrize("name", ID_PRESETS)
def test_presets_of_the_reference_are_options(name):
    argv = ["--config", name, "--interactions", "i", "--items", "x", "--output", "o"]
    model, run = parse_options(argv)
    preset = ID_PRESETS[name]
    assert model.to_id_model(9, run.dropout) == IDModelConfig(num_items=9, **preset.model)
    assert run.negatives_per_position == preset.negatives_per_position
    assert (run.learning_rate, run.num_negatives) == (preset.learning_rate, preset.num_negatives)
    assert (run.lr_schedule, run.warmup, run.clip_norm) == (preset.lr_schedule, 0, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_kind": "gru"}, "--model_kind gru: must be one of"),
        (
            {"model_kind": "sasrec", "user_heads": 3},
            "--user_heads 3: --user_size 16 cannot be divided",
        ),
        ({"objective": "both"}, "--objective both: must be one of"),
        ({"objective": "late_fusion", "model_kind": "hstu"}, "needs --model_kind hllm"),
        ({"objective": "late_fusion", "negatives_per_position": True}, "share negatives"),
        ({"click_candidates": 0}, "--click_candidates 0: must be a whole number from 1"),
        ({"num_negatives": 0}, "at least 1 is needed"),
        ({"shard": True}, "--shard needs several processes: start them with  torchrun"),
        ({"item_training": "qlora", "item_pretrained": False}, "qlora rounds pretrained weights"),
        ({"item_training": "qlora"}, "needs a CUDA device, and there is none: use lora"),
    ],
)
def test_impossible_options_are_one_clear_error(small, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DataError, match=message):
        small_trainer(small, tmp_path / "run", **changes)


def test_config_file_gives_defaults_that_flags_override(ring, tmp_path):
    path = tmp_path / "preset.json"
    path.write_text(json.dumps({"epochs": 7, "user_layers": 3, "items": "x.csv"}))
    argv = ["--config", str(path), "--interactions", "i.csv", "--output", "o", "--epochs", "4"]
    model, run = parse_options(argv)
    assert (run.epochs, model.user_layers, run.items) == (4, 3, Path("x.csv"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"epoch": 3}', r"unknown option 'epoch' \(did you mean epochs\b"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_wrong_config_file_is_one_clear_error(tmp_path, content, message):
    path = tmp_path / "preset.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        parse_options(
            ["--config", str(path), "--interactions", "i", "--items", "x", "--output", "o"]
        )


def test_presets_that_ship_are_understood():
    for path in sorted((ROOT / "assets" / "presets").glob("*.json")):
        parse_options(
            ["--config", str(path), "--interactions", "i", "--items", "x", "--output", "o"]
        )


def test_groups_hold_every_option_once_and_what_must_be_given_comes_first():
    fields = [own for group in GROUPS for own in dataclasses.fields(group)]
    names = [own.name for own in fields]
    both = [*dataclasses.fields(ModelOptions), *dataclasses.fields(TrainOptions)]
    assert sorted(names) == sorted(own.name for own in both)
    assert len(set(names)) == len(names)
    required = [own.name for own in fields if own.default is own.default_factory]
    assert names[: len(required)] == required == ["interactions", "items", "output"]


def test_saved_options_start_the_same_run(tmp_path):
    argv = ["--interactions=i.csv", "--items=x.csv", f"--output={tmp_path}", "--epochs=4"]
    argv += ["--no_data_split", "--text_keys", "title", "author", "--id_inner_size=7"]
    asked = parse_options(argv)
    save_options(tmp_path, *asked)
    assert parse_options(["--config", str(tmp_path / "train.json")]) == asked
