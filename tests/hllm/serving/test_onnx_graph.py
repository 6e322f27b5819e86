"""The graph as it is written: its inputs, its weights in few bits, and what is missing."""

import onnx
import pytest
import torch
from onnx.external_data_helper import load_external_data_for_model
from transformers import AutoModel, LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from hllm.errors import CheckpointError
from hllm.serving.onnx_graph import WEIGHTS_FILE, export_llama
from hllm.serving.quantize import quantize_blocks
from tests.hllm.serving.conftest import SIZES

CONFIG = LlamaConfig(**SIZES)


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(0)
    return AutoModel.from_config(CONFIG).state_dict()


def export(state, folder, bits=4):
    path = export_llama(state.items(), CONFIG, folder, bits=bits, max_length=9)
    model = onnx.load(path, load_external_data=False)
    load_external_data_for_model(model, str(folder))
    return model, {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}


def shape_of(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def test_inputs_and_outputs(state, tmp_path):
    model, _ = export(state, tmp_path)
    inputs = {value.name: shape_of(value) for value in model.graph.input}
    assert inputs["embeddings"] == ["batch", "new", 64]
    assert (inputs["last"], inputs["total"]) == (["batch"], [])
    assert inputs["key_2"] == ["batch", 2, "past", 16]
    assert len(inputs) == 3 + 2 * SIZES["num_hidden_layers"]
    outputs = {value.name: shape_of(value) for value in model.graph.output}
    assert outputs["states"] == ["batch", "new", 64]
    assert outputs["new_value_0"] == ["batch", 2, "whole", 16]
    assert [value.name for value in model.graph.output][1:] == [f"new_{n}" for n in [*inputs][3:]]


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_lie_in_the_file_as_they_were_rounded(state, tmp_path, bits):
    _, constants = export(state, tmp_path, bits)
    for name, value in state.items():
        if name == "embed_tokens.weight":
            assert name not in constants and f"{name}.codes" not in constants
        elif value.ndim == 1:
            assert (constants[name] == value.numpy()).all()
        else:
            codes, scales = quantize_blocks(value, bits)
            assert (constants[f"{name}.codes"] == codes.numpy()).all()
            assert (constants[f"{name}.scales"] == scales.flatten().numpy()).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", WEIGHTS_FILE]


def test_constants_begin_at_pages_of_the_file(state, tmp_path):
    path = export_llama(state.items(), CONFIG, tmp_path, bits=4, max_length=9)
    for constant in onnx.load(path, load_external_data=False).graph.initializer:
        place = {entry.key: entry.value for entry in constant.external_data}
        assert int(place["offset"]) % 4096 == 0


def test_positions_are_those_of_transformers(state, tmp_path):
    _, constants = export(state, tmp_path)
    cos, sin = LlamaRotaryEmbedding(CONFIG)(torch.zeros(1), torch.arange(9).unsqueeze(0))
    assert constants["cos"].shape == (9, 8)
    assert (constants["cos"] == cos[0, :, :8].numpy()).all()
    assert (constants["sin"] == sin[0, :, :8].numpy()).all()


@pytest.mark.parametrize(
    "name", ["norm.weight", "layers.2.mlp.down_proj.weight", "layers.0.self_attn.q_proj.weight"]
)
def test_what_is_missing_is_named_and_no_graph_is_written(state, tmp_path, name):
    rest = {key: value for key, value in state.items() if key != name}
    with pytest.raises(CheckpointError, match=f"lacks {name.removesuffix('.weight')}"):
        export(rest, tmp_path)
    assert not (tmp_path / "model.onnx").exists()
