"""Whether weights fit is found out from names and shapes alone."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hllm.errors import CheckpointError
from hllm.weights.shapes import (
    base_name,
    base_shapes,
    build,
    check_fit,
    check_language_model,
    shapes_of,
)


def test_shapes_take_no_memory():
    """A petabyte of weights."""
    shapes = shapes_of(lambda: nn.Linear(2**24, 2**24), "x")
    assert shapes == {"weight": (2**24, 2**24), "bias": (2**24,)}


def test_what_the_classes_refuse_is_one_sentence_with_its_place():
    def wrong():
        raise TypeError("first line\nsecond line")

    with pytest.raises(CheckpointError, match=r"^place describes no model .*line second line"):
        build(wrong, "place")

    def ours():
        raise CheckpointError("said before")

    with pytest.raises(CheckpointError, match=r"^said before$"):
        build(ours, "place")


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"a": (1,)}, "missing b; unknown none; of another shape none"),
        ({"a": (1,), "b": (2, 3), "c": ()}, "missing none; unknown c; of another shape none"),
        ({"a": (1,), "b": (3, 2)}, "missing none; unknown none; of another shape b"),
        ({}, "missing a, b; unknown none"),
    ],
)
def test_everything_that_does_not_fit_is_counted(stored, words):
    own = {"a": (1,), "b": (2, 3)}
    check_fit(own, own, "folder")
    with pytest.raises(CheckpointError, match=words):
        check_fit(own, stored, "folder")


@pytest.mark.parametrize(
    ("stored", "own"),
    [
        ("model.layers.0.x", "layers.0.x"),
        ("bert.encoder.x", "encoder.x"),
        ("layers.0.model.x", "layers.0.model.x"),
        ("bert.LayerNorm.gamma", "LayerNorm.weight"),
        ("LayerNorm.beta", "LayerNorm.bias"),
        ("lm_head.weight", "lm_head.weight"),
    ],
)
def test_names_without_the_head(stored, own):
    assert base_name(stored) == own


@pytest.fixture
def language_model(tiny_model, tmp_path):
    tiny_model.item_llm.save_pretrained(tmp_path)
    return tmp_path, {n: tuple(v.shape) for n, v in tiny_model.item_llm.state_dict().items()}


def rewrite(folder, change):
    state = load_file(folder / "model.safetensors")
    save_file(change(state), folder / "model.safetensors", metadata={"format": "pt"})


def test_a_head_and_a_prefix_change_nothing(language_model):
    folder, own = language_model
    check_language_model(own, folder)
    rewrite(folder, lambda s: {f"model.{n}": v for n, v in s.items()} | {"lm_head": torch.ones(2)})
    assert base_shapes(folder) == own | {"lm_head": (2,)}
    check_language_model(own, folder)


@pytest.mark.parametrize("shape", [None, (5, 32)])
def test_a_weight_that_is_missing_or_other_is_named(language_model, shape):
    folder, own = language_model

    def change(state):
        del state["norm.weight"]
        return state if shape is None else state | {"norm.weight": torch.ones(shape)}

    rewrite(folder, change)
    with pytest.raises(CheckpointError, match=r"missing or of another shape: norm\.weight"):
        check_language_model(own, folder)


def test_a_pickle_in_place_of_safetensors_is_not_opened(language_model):
    folder, own = language_model
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="could run code"):
        check_language_model(own, folder)


def test_the_configuration_is_checked_first(language_model):
    folder, own = language_model
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | {"vocab_size": 10**12}))
    with pytest.raises(CheckpointError, match="vocab_size is 1000000000000"):
        check_language_model(own, folder)
