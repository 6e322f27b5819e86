"""What names a state, and when a processor's bfloat16 is trusted."""

import copy
import json
from functools import partial
from pathlib import Path

import pytest
import torch

from hllm.checkpoint import build_model, load_model, save_model
from hllm.config import HLLMConfig
from hllm.embed import item_batches
from hllm.embedder import distinct_by_length, encode_all
from hllm.item_states import checked, has_fast_bfloat16, is_made_in_bfloat16, state_key
from hllm.schema.tokenizers import read_tokenizer
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.weights.packaged import MINILM, pretrained_folder

BOOKS = Path(__file__).parents[2] / "assets" / "books" / "books.jsonl"
LORA = {"r": 2, "lora_alpha": 4, "target_modules": "all-linear", "lora_dropout": 0.0}


def test_a_folder_gives_the_key_of_the_model_that_was_saved(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    tokenizer(["a text"])
    assert state_key(*load_model(tmp_path)) == state_key(tiny_model, tokenizer)


def test_what_is_behind_the_states_does_not_count(tiny_model, tokenizer):
    key = state_key(tiny_model, tokenizer)
    with torch.no_grad():
        for parameter in tiny_model.user_llm.parameters():
            parameter.add_(1)
    tiny_model.config.max_history = 3
    tiny_model.config.item_prompt = "of the text"
    assert state_key(tiny_model, tokenizer) == key


def more_words(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["Dune"])
    return other


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.item_emb_tokens.data.add_(1),
        lambda m: m.item_llm.layers[0].mlp.up_proj.weight.data[0, 0].add_(1e-3),
        lambda m: m.item_llm.bfloat16(),
        lambda m: setattr(m.config, "max_text_tokens", 95),
        lambda m: setattr(m.config, "item_pooling", "mean"),
        lambda m: setattr(m.config, "right_align_positions", True),
        lambda m: setattr(m.config.item_config, "rope_theta", 7.0),
    ],
)
def test_what_shapes_a_state_counts(tiny_model, tokenizer, change):
    key = state_key(tiny_model, tokenizer)
    assert state_key(tiny_model, tokenizer, bf16=True) != key
    assert state_key(tiny_model, more_words(tokenizer)) != key
    change(tiny_model)
    assert state_key(tiny_model, tokenizer) != key


def test_lora_matrices_count_once_they_have_learnt(tiny_model, tokenizer):
    config = HLLMConfig.from_dict(tiny_model.config.to_dict() | {"item_lora": LORA})
    lora = build_model(config)
    plain = {k.replace(".base_layer.", "."): k for k in lora.state_dict() if "lora_" not in k}
    own = tiny_model.state_dict()
    lora.load_state_dict({key: own[name] for name, key in plain.items()}, strict=False)
    assert state_key(lora, tokenizer) == state_key(tiny_model, tokenizer)
    with torch.no_grad():
        next(value for name, value in lora.named_parameters() if "lora_B" in name).add_(0.1)
    assert state_key(lora, tokenizer) != state_key(tiny_model, tokenizer)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse avx2 avx512f avx512_bf16", True),
        ("fpu amx_bf16 amx_tile amx_int8", True),
        ("fpu sse avx2 f16c", False),
        ("fpu avx512f avx512_bf16x", False),
    ],
)
def test_processors_with_bfloat16(flags, expected):
    text = f"processor\t: 0\nmodel name\t: amx_bf16\nflags\t\t: {flags}\nbugs\t\t: x\n\n"
    assert has_fast_bfloat16(text * 2) == expected


def test_a_machine_that_says_nothing_has_none():
    assert not has_fast_bfloat16("")
    assert not has_fast_bfloat16("Features\t: fp asimd bf16\n")


def test_only_float32_models_are_made_in_bfloat16(tiny_model, monkeypatch):
    monkeypatch.setattr("hllm.item_states.cpu_has_fast_bfloat16", lambda: True)
    assert is_made_in_bfloat16(tiny_model)
    assert not is_made_in_bfloat16(tiny_model.bfloat16())


def test_bfloat16_is_used_where_it_agrees_and_float32_where_it_does_not(caplog):
    caplog.set_level("INFO")

    def exact(texts):
        yield list(range(len(texts))), torch.eye(len(texts)) + 100

    def near(texts):
        yield list(range(len(texts))), torch.eye(len(texts)) + 100.001

    def wrong(texts):  # the large part that all have in common hides it from a plain cosine
        yield list(range(len(texts))), torch.eye(len(texts)).flip(0) + 100

    def damaged(texts):
        yield list(range(len(texts))), torch.full((len(texts),) * 2, float("nan"))

    texts = ["a", "b", "c"]
    same = encode_all(checked(near, exact), texts, progress=False)
    assert torch.equal(same, torch.eye(3) + 100.001)
    for fast in (wrong, damaged):
        found = encode_all(checked(fast, exact), texts, progress=False)
        assert torch.equal(found, torch.eye(3) + 100)
    assert "encoding in bfloat16" in caplog.text
    assert "encoding in float32" in caplog.text


def test_bfloat16_agrees_on_a_real_text_encoder():
    folder = pretrained_folder(MINILM)
    config = make_config(ModelOptions(text_keys=["title"]))
    model = build_model(config, item_weights=folder).eval()
    tokenizer = read_tokenizer(folder, config.item_config.vocab_size)
    books = map(json.loads, BOOKS.read_text(encoding="utf-8").splitlines()[::50])
    texts = distinct_by_length(map(config.item_text, books))
    exact, fast = (
        encode_all(
            partial(item_batches, model, tokenizer, adapt=False, bf16=bf16), texts, progress=False
        )
        for bf16 in (False, True)
    )
    assert not torch.equal(exact, fast)
    assert torch.cosine_similarity(fast, exact).min() >= 0.999
    center = exact.mean(dim=0)
    assert torch.cosine_similarity(fast - center, exact - center).min() >= 0.999
