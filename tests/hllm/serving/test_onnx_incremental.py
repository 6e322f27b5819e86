import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from hllm.checkpoint import load_user_llm
from hllm.embed import embed_items
from hllm.errors import CheckpointError
from hllm.recommend import load_hllm
from hllm.serving.quantize import ONNX_BLOCK, dequantize_blocks, quantize_blocks
from hllm.serving.user_model import load_user_model


@torch.inference_mode()
def rounded_states(folder, items, bits):
    """The slow oracle: transformers with the rounded weights as ordinary matrices.

    What a product reads is rounded to 8 bits, too, block by block, as the kernels do it.
    """
    user_llm = load_user_llm(folder)

    def rounded_input(_, inputs):
        width = inputs[0].shape[-1]
        blocks = torch.nn.functional.pad(inputs[0], (0, -width % ONNX_BLOCK)).unflatten(
            -1, (-1, ONNX_BLOCK)
        )
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
    steps = load_user_model(folder, f"int{bits}", cache=tmp_path).steps
    _, states = steps.extend(None, items)
    expected = rounded_states(folder, items, bits)
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


def test_another_model_of_the_same_size_and_time_gets_its_own_graph(folder, tmp_path):
    items = torch.randn(4, 64, generator=torch.Generator().manual_seed(5))
    weights = folder / "model.safetensors"
    before = weights.stat()
    first = load_user_model(folder, "int4", cache=tmp_path / "graphs").steps.extend(None, items)[1]
    tensors = {name: value.flip(0).contiguous() for name, value in load_file(weights).items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    other = load_user_model(folder, "int4", cache=tmp_path / "graphs").steps.extend(None, items)[1]
    torch.testing.assert_close(other, rounded_states(folder, items, 4), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(other, first, atol=1e-2)


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
