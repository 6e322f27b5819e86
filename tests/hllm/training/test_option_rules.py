"""Every option of training has a rule; what cannot be is one sentence before files are read."""

import dataclasses
import math
from pathlib import Path

import pytest

from hllm.errors import DataError
from hllm.training.option_rules import RULES
from hllm.training.options import ModelOptions, TrainOptions

FILES = {"interactions": Path("i"), "items": Path("x"), "output": Path("o")}


def test_every_option_but_paths_has_a_rule():
    names = {f.name for kind in (ModelOptions, TrainOptions) for f in dataclasses.fields(kind)}
    assert names - {*FILES} == {*RULES}


@pytest.mark.parametrize("value", [-1, 10**30, math.nan, math.inf, "many", None, [], 0.5])
@pytest.mark.parametrize("name", ["user_size", "epochs", "max_history", "seed", "lora_rank"])
def test_odd_numbers_are_refused(name, value):
    kind, given = (TrainOptions, FILES) if name in ("epochs", "seed") else (ModelOptions, {})
    with pytest.raises(DataError, match=rf"--{name} .*: must be a whole number from"):
        kind(**given, **{name: value})


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, "much", True])
def test_odd_rates_are_refused(value):
    with pytest.raises(DataError, match=r"--learning_rate .*: must be a number from"):
        TrainOptions(**FILES, learning_rate=value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user_heads": 3}, "--user_heads 3: --user_size 256 cannot .* can be 1, 2, 4, 8"),
        ({"user_size": 8, "user_heads": 8}, "into an even width each; .* can be 1, 2, 4"),
        ({"user_size": 7, "user_heads": 7}, "give an even --user_size"),
        ({"model_kind": "sasrec", "user_heads": 3}, "--user_heads 3"),
        ({"model_kind": "id-llama", "id_key_value_heads": 3}, "--id_key_value_heads 3"),
    ],
)
def test_heads_must_divide_the_width(options, message):
    with pytest.raises(DataError, match=message):
        ModelOptions(**options)


def test_a_folder_brings_its_own_heads():
    assert ModelOptions(user_llm="some/folder", user_heads=3).user_heads == 3
    assert ModelOptions(model_kind="sasrec", user_size=9, user_heads=9).user_heads == 9


@pytest.mark.parametrize("adapter", ["none", "linear"])
def test_only_an_mlp_adapter_is_scaled(adapter):
    with pytest.raises(DataError, match="--item_embedding_rms scales a new adapter"):
        ModelOptions(item_adapter=adapter, item_embedding_rms=6.0)
