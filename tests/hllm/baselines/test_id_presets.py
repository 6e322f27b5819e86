"""Presets of ID models: possible, and the same as options of a training run."""

import pytest
import torch

from hllm.baselines.id_models import (
    IDModelConfig,
    make_id_model,
)
from hllm.baselines.id_presets import ID_PRESETS
from hllm.train import parse_options

AUTHORS = {"sasrec", "esasrec", "hstu", "hstu-large"}  # the others are the reference's


@pytest.mark.parametrize("name", ID_PRESETS)
def test_presets_are_possible(name):
    config = IDModelConfig(num_items=10, **ID_PRESETS[name].model)
    with torch.device("meta"):  # no memory: some have a billion parameters
        model = make_id_model(config)
    parameters = sum(value.numel() for value in model.parameters())
    assert (parameters > 3e8) == ("1b" in name)


@pytest.mark.parametrize("name", ID_PRESETS)
def test_options_say_everything_that_the_preset_does(name):
    preset = ID_PRESETS[name]
    options = preset.options()
    config = IDModelConfig(num_items=10, **preset.model)
    assert options["model_kind"] == config.kind
    assert options["user_size"] == config.hidden_size
    assert options["user_layers"] == config.num_layers
    assert options["max_history"] == config.max_history
    assert (options["warmup"], options["clip_norm"]) == (0.0, 0.0)  # as in the reference
    assert (options["learning_rate"], options["epochs"]) == (preset.learning_rate, preset.epochs)


def test_what_the_names_say():
    assert ID_PRESETS["hstu-large-books-neg28k"].num_negatives == 56 * 128
    assert set(ID_PRESETS) > AUTHORS
    for name, preset in ID_PRESETS.items():
        assert preset.negatives_per_position == ("neg512" in name)
        assert preset.precision == ("bf16" if "-1b-" in name else "fp32")


@pytest.mark.parametrize("name", sorted(AUTHORS))
def test_the_authors_presets_are_a_run_that_patience_ends(name):
    files = ["--interactions", "i.csv", "--items", "i.csv", "--output", "run"]
    model, train = parse_options(["--config", name, *files])
    assert model.model_kind == name.split("-")[0]
    assert (train.patience, train.eval_every) == (10, 0)
    assert train.epochs > 10 * train.patience
    assert train.lr_schedule == "constant"  # a falling rate would end the training by itself
    # HSTU's authors fix the temperature; that of the others is learned.
    scale = make_id_model(model.to_id_model(10, train.dropout)).logit_scale
    assert scale.requires_grad == (model.model_kind != "hstu")
