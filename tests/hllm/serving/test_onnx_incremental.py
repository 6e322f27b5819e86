import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hllm.checkpoint import load_user_llm
from hllm.embed import embed_items
from hllm.errors import CheckpointError
from hllm.recommend import load_hllm
from hllm.serving import onnx_incremental
from hllm.serving.quantize import block_size, dequantize_blocks, quantize_blocks
from hllm.serving.user_model import load_user_model

# How far from a half every input of a product is, in steps of its rounding. Kernels and oracle sum
# in other orders, which moves an input by up to 1e-4 steps: nearer ones could round either way.
CLEAR = 3e-4


def rounded_llm(folder, bits):
    """The slow oracle: transformers with the rounded weights as ordinary matrices.

    What a product reads is rounded to 8 bits, too, block by block, as the kernels do it. Returns
    the model and a list that grows by each rounding's least distance from a half.
    """
    user_llm = load_user_llm(folder)
    distances = []

    def rounded_input(_, inputs):
        width = inputs[0].shape[-1]
        size = block_size(width)
        blocks = torch.nn.functional.pad(inputs[0], (0, -width % size)).unflatten(-1, (-1, size))
        scales = blocks.abs().amax(-1, keepdim=True).clamp_min(1e-12) / 127
        codes = blocks / scales
        distances.append((codes - codes.floor() - 0.5).abs().min().item())
        return (codes.round() * scales).flatten(-2)[..., :width]

    for module in user_llm.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(rounded_input)
    for parameter in user_llm.parameters():
        if parameter.ndim == 2:
            rounded = dequantize_blocks(*quantize_blocks(parameter.data, bits), bits)
            parameter.data = rounded[:, : parameter.shape[1]].contiguous()
    return user_llm, distances


@torch.inference_mode()
def clearly_rounded(folder, bits, first_seed):
    """Items none of whose roundings is near a tie, and the oracle's states at them."""
    user_llm, distances = rounded_llm(folder, bits)
    for seed in range(first_seed, first_seed + 500):
        items = torch.randn(6, 64, generator=torch.Generator().manual_seed(seed))
        distances.clear()
        states = user_llm(inputs_embeds=items.unsqueeze(0)).last_hidden_state[0]
        if min(distances) > CLEAR:
            return items, states
    raise AssertionError("no items without ties: smaller ones are needed")


@pytest.mark.parametrize("first_seed", [0, 1000])
@pytest.mark.parametrize("bits", [4, 8])
def test_onnx_computes_what_the_rounded_weights_say(folder, tmp_path, bits, first_seed):
    items, expected = clearly_rounded(folder, bits, first_seed)
    steps = load_user_model(folder, f"int{bits}", cache=tmp_path).steps
    _, states = steps.extend(None, items)
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-4)


def test_appends_of_several_histories_at_once(folder, tmp_path):
    items = torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    steps = load_user_model(folder, "int4", cache=tmp_path).steps
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
    assert load_user_model(folder, "int4", cache=tmp_path / "graphs").precision == "int4"
    assert len(list((tmp_path / "graphs").iterdir())) == 1


def test_a_remembered_prefix_changes_nothing(folder, tmp_path):
    items = torch.randn(6, 64, generator=torch.Generator().manual_seed(3))
    steps = load_user_model(folder, "int4", cache=tmp_path).steps
    memory, states = steps.extend(None, items)
    first, _ = steps.extend(None, items[:2])
    second, _ = steps.extend(first, items[2:5])
    third, last = steps.extend(torch.cat([first, second]), items[5:])
    assert torch.allclose(torch.cat([first, second, third]), memory, atol=1e-4)
    assert torch.allclose(last[0], states[-1], atol=1e-4)


def test_the_graph_is_made_once_and_replaces_those_of_older_weights(folder, tmp_path, monkeypatch):
    cache, elsewhere = tmp_path / "graphs", tmp_path / "copy"
    shutil.copytree(folder, elsewhere)

    def graphs():
        return {path.name for path in cache.iterdir()}

    load_user_model(elsewhere, "int4", cache=cache)
    other = graphs()
    for precision in ("int4", "int8"):
        load_user_model(folder, precision, cache=cache)
    first = graphs() - other
    load_user_model(folder, "int4", cache=cache)
    assert graphs() == other | first and len(first) == 2

    os.utime(folder / "model.safetensors", ns=(1, 1))
    with monkeypatch.context() as patch:  # until the new one is whole, the old ones stay
        patch.setattr(onnx_incremental, "export_llama", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            load_user_model(folder, "int8", cache=cache)
    assert graphs() == other | first
    load_user_model(folder, "int8", cache=cache)
    assert len(graphs() - other) == 1 and not graphs() & first and graphs() > other


def test_another_model_of_the_same_size_and_time_gets_its_own_graph(folder, tmp_path):
    weights = folder / "model.safetensors"
    before = weights.stat()
    first = load_user_model(folder, "int4", cache=tmp_path / "graphs").steps
    tensors = {name: value.flip(0).contiguous() for name, value in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    other = load_user_model(folder, "int4", cache=tmp_path / "graphs").steps
    items, expected = clearly_rounded(folder, 4, first_seed=0)
    states = other.extend(None, items)[1]
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(states, first.extend(None, items)[1], atol=1e-2)


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
