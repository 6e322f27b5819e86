"""Reading on behind a prefix equals reading everything: for architectures that can, and not."""

import pytest
import torch
from transformers import AutoModel, GPT2Config, LlamaConfig, MistralConfig, Qwen3Config

from hllm.serving.incremental import TransformersIncremental
from tests.hllm.shapes import TINY_LLM

LONGEST = 6
LLAMA = {**TINY_LLM, "vocab_size": 8}
CONFIGS = {
    "llama": LlamaConfig(**LLAMA),
    "qwen3": Qwen3Config(**LLAMA, head_dim=8),
    "gpt2": GPT2Config(vocab_size=8, n_embd=32, n_layer=2, n_head=4),
    "sliding, wide enough": MistralConfig(**LLAMA, sliding_window=LONGEST + 1),
    "sliding, too narrow": MistralConfig(**LLAMA, sliding_window=3),
}


def new_steps(kind):
    torch.manual_seed(1)
    model = AutoModel.from_config(CONFIGS[kind]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model, TransformersIncremental(model, LONGEST)


@pytest.fixture
def items():
    return torch.randn(LONGEST, 32, generator=torch.Generator().manual_seed(2))


@torch.inference_mode()
def whole(model, items):
    return model(inputs_embeds=items.unsqueeze(0), use_cache=False).last_hidden_state[0]


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if kind != "sliding, too narrow"])
def test_any_split_equals_one_pass(kind, items):
    model, steps = new_steps(kind)
    assert steps.can_resume
    expected = whole(model, items)
    for cut in range(1, LONGEST):
        first, before = steps.extend(None, items[:cut])
        second, behind = steps.extend(first, items[cut:])
        torch.testing.assert_close(torch.cat([before, behind]), expected, atol=1e-4, rtol=0)
        assert (len(first), len(second)) == (cut, LONGEST - cut)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gpt2"])
def test_one_item_behind_prefixes_of_different_lengths(kind, items):
    model, steps = new_steps(kind)
    assert steps.can_batch
    lengths = (1, 5, 3, 1)
    pasts = [steps.extend(None, items[:n])[0] for n in lengths]
    memory, states = steps.append(pasts, items[[*lengths]])
    for row, length in enumerate(lengths):
        alone, expected = steps.extend(pasts[row], items[length : length + 1])
        torch.testing.assert_close(
            states[row], whole(model, items[: length + 1])[-1], atol=1e-4, rtol=0
        )
        torch.testing.assert_close(states[row], expected[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(memory[row], alone[0], atol=1e-4, rtol=0)


def test_a_memory_that_forgets_is_not_used(items):
    model, steps = new_steps("sliding, too narrow")
    assert not steps.can_resume and not steps.can_batch
    memory, states = steps.extend(None, items)
    assert memory.shape == (LONGEST, 0)
    torch.testing.assert_close(states, whole(model, items), atol=1e-5, rtol=0)


def test_numbers_kept_of_an_item():
    """Keys and values of every layer: 2 layers x 2 x 2 heads x 8 numbers."""
    _, steps = new_steps("llama")
    assert steps.extend(None, torch.randn(3, 32))[0].shape == (3, 64)
