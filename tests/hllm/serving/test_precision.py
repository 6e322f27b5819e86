"""The User LLM in few bits: equal to the model with the same rounded weights, cached or not."""

import os
import shutil

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, MistralConfig

from hllm.checkpoint import load_config, load_user_llm, save_model
from hllm.config import HLLMConfig
from hllm.embed import embed_items
from hllm.errors import CheckpointError
from hllm.model import HLLM
from hllm.recommend import load_hllm
from hllm.serving.nf4_model import load_nf4
from hllm.serving.precision import choose_precision, load_user_model
from hllm.serving.quantize import BLOCK, dequantize_blocks, quantize_blocks

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 1,
    "bos_token_id": None,
    "eos_token_id": None,
}


@pytest.fixture
def make_hllm(make_model):
    """An HLLM with this User LLM."""

    def make(user_config):
        torch.manual_seed(5)
        item_config = make_model().config.item_config
        options = {"text_keys": ["title"], "max_text_tokens": 96, "max_history": 6}
        return HLLM(HLLMConfig(item_config, user_config, item_adapter="linear", **options))

    return make


@pytest.fixture
def folder(make_hllm, tmp_path, tokenizer):
    model = make_hllm(LlamaConfig(**SIZES))
    with torch.no_grad():
        for parameter in model.user_llm.parameters():
            parameter.uniform_(-0.3, 0.3) if parameter.ndim > 1 else parameter.uniform_(0.5, 1.5)
    save_model(model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


@torch.inference_mode()
def rounded_states(folder, items, bits):
    """The slow oracle: transformers with the rounded weights as ordinary matrices.

    What a product reads is rounded to 8 bits, too, block by block, as the kernels do it.
    """
    user_llm, _ = load_user_llm(folder)

    def rounded_input(_, inputs):
        width = inputs[0].shape[-1]
        blocks = torch.nn.functional.pad(inputs[0], (0, -width % BLOCK)).unflatten(-1, (-1, BLOCK))
        scales = blocks.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
        return ((blocks / scales).round() * scales).flatten(-2)[..., :width]

    for module in user_llm.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(rounded_input)
    for parameter in user_llm.parameters():
        if parameter.ndim == 2:
            rounded = dequantize_blocks(*quantize_blocks(parameter.data, bits), bits)
            parameter.data = rounded[:, : parameter.shape[1]].contiguous()
    return user_llm(inputs_embeds=items.unsqueeze(0)).last_hidden_state[0]


@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_computes_what_the_rounded_weights_say(folder, tmp_path, bits):
    items = torch.randn(6, 64, generator=torch.Generator().manual_seed(2))
    steps = load_user_model(folder, f"int{bits}", cache=tmp_path)[0].steps
    _, states = steps.extend(None, items)
    expected = rounded_states(folder, items, bits)
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-4)


def test_appends_of_several_histories_at_once(folder, tmp_path):
    items = torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    steps = load_user_model(folder, "int4", cache=tmp_path)[0].steps
    pasts = [steps.extend(None, items[:length])[0] for length in (5, 1, 3)]
    memory, states = steps.append(pasts, items[[5, 1, 3]])
    for row, length in enumerate((5, 1, 3)):
        alone = steps.extend(pasts[row], items[length : length + 1])
        assert torch.allclose(memory[row], alone[0][0], atol=1e-4)
        assert torch.allclose(states[row], alone[1][0], atol=1e-3)


def test_incomplete_weights_leave_no_graph(folder, tmp_path):
    weights = load_file(folder / "model.safetensors")
    del weights["user_llm.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks layers\.1\.mlp\.up_proj"):
        load_user_model(folder, "int4", cache=tmp_path / "graphs")
    assert not list((tmp_path / "graphs").iterdir())


def test_two_processes_may_make_the_same_graph(folder, tmp_path, monkeypatch):
    rename = os.rename

    def rename_after_another(source, target):
        shutil.copytree(source, target)
        rename(source, target)

    monkeypatch.setattr(os, "rename", rename_after_another)
    assert load_user_model(folder, "int4", cache=tmp_path / "graphs")[0].precision == "int4"
    assert len(list((tmp_path / "graphs").iterdir())) == 1


def test_a_remembered_prefix_changes_nothing(folder, tmp_path):
    items = torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    steps = load_user_model(folder, "int4", cache=tmp_path)[0].steps
    memory, states = steps.extend(None, items)
    first, _ = steps.extend(None, items[:2])
    second, _ = steps.extend(first, items[2:5])
    third, last = steps.extend(torch.cat([first, second]), items[5:])
    assert torch.allclose(torch.cat([first, second, third]), memory, atol=1e-4)
    assert torch.allclose(last[0], states[-1], atol=1e-4)


def test_the_graph_is_made_once_and_again_for_other_weights(folder, tmp_path):
    def graphs():
        return sorted(path.name for path in (tmp_path / "graphs").iterdir())

    load_user_model(folder, "int4", cache=tmp_path / "graphs")
    first = graphs()
    load_user_model(folder, "int4", cache=tmp_path / "graphs")
    assert graphs() == first
    os.utime(folder / "model.safetensors", ns=(1, 1))
    load_user_model(folder, "int4", cache=tmp_path / "graphs")
    assert len(graphs()) == 2


def test_recommendations_in_int8_are_those_in_fp32(folder, tmp_path):
    texts = [(f"i{n}", f"title: book {n}") for n in range(30)]
    embed_items(folder, texts, folder / "embeddings.safetensors", progress=False)
    exact = load_hllm(folder, precision="fp32")
    rounded = load_hllm(folder, precision="int8", cache=tmp_path)
    assert (exact.precision, rounded.precision) == ("fp32", "int8")
    history = ["i3", "i4", "i5"]
    scores = {item.item_id: item.score for item in exact.recommend(history, top_k=30).items}
    for item in rounded.recommend(history, top_k=30).items:
        assert item.score == pytest.approx(scores[item.item_id], abs=0.02)


def test_nf4_computes_with_the_rounded_weights(folder):
    user_llm = load_nf4(folder, torch.device("cpu"))
    layers = [module for module in user_llm.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 7 * SIZES["num_hidden_layers"]
    assert {layer.weight.quant_state.quant_type for layer in layers} == {"nf4"}
    assert all(layer.weight.quant_state.nested for layer in layers)  # double quantization
    oracle, _ = load_user_llm(folder)
    modules = dict(user_llm.named_modules())
    for name, module in oracle.named_modules():
        if isinstance(module, torch.nn.Linear):
            weight = modules[name].weight
            module.weight.data = dequantize_4bit(weight.data, weight.quant_state).float()
    items = torch.randn(1, 6, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        states = user_llm(inputs_embeds=items.bfloat16()).last_hidden_state[0].float()
        expected = oracle(inputs_embeds=items).last_hidden_state[0]
    assert torch.cosine_similarity(states, expected).min() > 0.999


def test_the_choice_for_a_machine(folder):
    config = load_config(folder)
    assert choose_precision(config, 1_000_000, has_cuda=True) == "fp32"
    assert choose_precision(config, 1_000_000_000, has_cuda=True) == "nf4"
    assert choose_precision(config, 1_000_000_000, has_cuda=False) == "int4"
    config.user_config = MistralConfig(**SIZES)
    assert choose_precision(config, 1_000_000_000, has_cuda=False) == "fp32"


def test_what_is_impossible_is_said(folder, make_hllm, tmp_path, tokenizer):
    with pytest.raises(CheckpointError, match="int3: choose one of auto, fp32"):
        load_user_model(folder, "int3")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="nf4 needs a CUDA device"):
            load_user_model(folder, "nf4")
    other = make_hllm(MistralConfig(**SIZES))
    save_model(other, tmp_path / "mistral", tokenizer)
    with pytest.raises(CheckpointError, match="Llama-shaped"):
        load_user_model(tmp_path / "mistral", "int4", cache=tmp_path)
