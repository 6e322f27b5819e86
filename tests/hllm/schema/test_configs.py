"""Model folders of strangers: whatever their files say, there is one sentence or a model."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from hllm.baselines.id_models import (
    IDModelConfig,
    load_id_model,
    make_id_model,
    save_id_model,
)
from hllm.checkpoint import build_model, load_model, load_user_llm
from hllm.model_folder import ModelFolder
from hllm.published.convert import convert
from hllm.published.reference_layout import language_model_config
from hllm.published.sources import PUBLISHED
from hllm.schema.configs import MODEL_TYPES, check_language_model
from hllm.schema.language_model import read_language_model
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.weights.packaged import MINILM, pretrained_folder
from tests.hllm.schema.spoiling import change, refused

NAN, INF = float("nan"), float("inf")


# (part of config.json, key, value): each alone makes a valid folder one to refuse.
ODD = [
    *(("", "model_type", value) for value in ("llama", None, 3, [])),
    *(("", "text_keys", value) for value in ([], "title", [3], None, ["x" * 999])),
    *(("", "item_prompt", value) for value in (None, 3, ["a"])),
    *(("", "max_text_tokens", value) for value in (0, -1, 2.5, "9", True, 10**12, NAN)),
    *(("", "max_history", value) for value in (0, -1, 1e9, None, 10**12)),
    *(("", "item_pooling", value) for value in ("max", 3, {})),
    *(("", "item_adapter", value) for value in ("conv", None)),
    *(("", "item_adapter_hidden_size", value) for value in (0, 10**9, "big")),
    *(("", "item_base", value) for value in (3, "os", "../other")),
    *(("", "objective", value) for value in ("other", 1)),
    *(("", "right_align_positions", value) for value in (1, "yes")),
    *(("", "auto_map", value) for value in ({"AutoModel": "evil.Model"}, "evil")),
    ("", "trust_remote_code", True),
    ("", "attn_implementation", "kernels-community/flash-attn"),
    ("", "_attn_implementation", {"": "kernels-community/flash-attn"}),
    ("", "experts_implementation", "kernels-community/moe"),
    ("", "use_kernels", True),
    ("", "device_map", "auto"),
    ("", "quantization_config", {"quant_method": "gptq"}),
    ("", "quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True, "x": 1}),
    *(("", "dtype", value) for value in ("Tensor", "__class__", "float8_e4m3fn", 16, {})),
    ("", "torch_dtype", "load"),
    *(("", "item_config", value) for value in ({}, [], None, "llama", {"model_type": "llama"})),
    ("", "item_lora", {"r": 0}),
    ("", "item_lora", {"r": 10**9}),
    ("", "item_lora", {"r": 2, "target_modules": "(a+)+b"}),
    ("", "item_lora", {"r": 2, "corda_config": {}}),
    ("", "item_lora", {"r": 2, "lora_alpha": NAN}),
    *(("item_config", "model_type", value) for value in ("gpt_oss", "hllm", "baichuan", [], None)),
    *(("item_config", "vocab_size", value) for value in (10**9, 0, -5, "many", 999_999, 7)),
    *(("item_config", "hidden_size", value) for value in (10**9, 0, 33, 32.0, None, [32], 64)),
    *(("item_config", "num_hidden_layers", value) for value in (10**6, 0, -1, 9, True)),
    *(("item_config", "num_attention_heads", value) for value in (0, 5, 10**9, "4")),
    *(("item_config", "num_key_value_heads", value) for value in (0, 3, 10**9)),
    *(("item_config", "head_dim", value) for value in (0, 7, 10**9, 16)),
    *(("item_config", "intermediate_size", value) for value in (0, 10**12, 63, {})),
    *(("item_config", "max_position_embeddings", value) for value in (0, 10**12, None)),
    *(("item_config", "rms_norm_eps", value) for value in (NAN, INF, -1.0, 0, "1e-6", 5)),
    *(("item_config", "rope_theta", value) for value in (0, -1, NAN, "x")),
    ("item_config", "rope_parameters", []),
    ("item_config", "rope_parameters", {"rope_type": "evil", "rope_theta": 1e4}),
    ("item_config", "rope_parameters", {"rope_type": "default", "rope_theta": 0.0}),
    ("item_config", "rope_parameters", {"rope_type": "default", "hook": "x"}),
    ("item_config", "rope_parameters", {"full_attention": 3}),
    *(("item_config", "hidden_act", value) for value in ("__class__", None, 3)),
    *(("item_config", "attention_dropout", value) for value in (-0.1, 1.0, NAN)),
    *(("item_config", "pad_token_id", value) for value in (259, 10**9, -2, "0", 1.5)),
    *(("item_config", "eos_token_id", value) for value in ([], ["a"], {})),
    *(("item_config", "tie_word_embeddings", value) for value in (3, "no")),
    ("item_config", "initializer_range", -1),
    ("item_config", "id2label", {"a": {"b": "c"}}),
    ("item_config", "output_hidden_states", True),
    ("item_config", "auto_map", {"AutoConfig": "evil.Config"}),
    ("item_config", "attn_implementation", "kernels-community/flash-attn"),
    ("item_config", "_attn_implementation", "flash_attention_2"),
    ("item_config", "_attn_implementation_internal", "kernels-community/flash-attn"),
    ("item_config", "quantization_config", {"quant_method": "gptq"}),
    ("item_config", "dtype", "Tensor"),
    ("item_config", "something", {"nested": {"deep": 1}}),
    ("user_config", "vocab_size", 10**9),
    ("user_config", "num_hidden_layers", 10**6),
    ("user_config", "num_hidden_layers", 9),
    ("user_config", "hidden_size", 65_536),
    ("user_config", "rms_norm_eps", NAN),
    ("user_config", "dtype", "__class__"),
    ("user_config", "kernel_config", "x"),
]


@pytest.mark.parametrize(("part", "key", "value"), ODD)
def test_an_odd_configuration_is_one_sentence(folder, part, key, value):
    path = folder / "config.json"
    values = json.loads(path.read_text())
    (values[part] if part else values)[key] = value
    path.write_text(json.dumps(values))
    refused(load_model, folder)
    if part == "user_config":
        if (key, value) != ("vocab_size", 7):
            refused(load_user_llm, folder)
    if part == "item_config":
        refused(lambda: check_language_model(values[part], "x") or load_model(folder))


def test_the_valid_folder_loads(folder):
    model, _ = load_model(folder)
    assert torch.isfinite(model.encode_items([[1, 5]])).all()


@pytest.mark.parametrize("size", [10**9, 999_999])
def test_a_huge_vocabulary_takes_no_memory(folder, size):
    """The User LLM's words are never stored: nothing but bounds and one word less tells."""
    values = json.loads((folder / "config.json").read_text())
    values["user_config"]["vocab_size"] = size
    (folder / "config.json").write_text(json.dumps(values))
    if size == 10**9:
        assert "vocab_size is 1000000000" in refused(load_user_llm, folder)
    else:
        user_llm = load_user_llm(folder)
        assert not any("embed_tokens" in name for name, _ in user_llm.named_parameters())
        assert ModelFolder(folder).config.user_config.vocab_size == size
        assert load_model(folder)[0].config.user_config.vocab_size == size


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '"x"'])
@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
def test_a_damaged_file_is_one_sentence(folder, name, content):
    (folder / name).write_text(content)
    refused(load_model, folder)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_weights_that_are_not_finite_are_refused(folder, value):
    state = load_file(folder / "model.safetensors")
    state["user_llm.norm.weight"][3] = value
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    for load in (load_model, load_user_llm):
        assert "user_llm.norm.weight holds numbers that are not finite" in refused(load, folder)


@pytest.fixture
def language_model(folder, tiny_model, tokenizer, tmp_path):
    path = folder / "item"
    tiny_model.item_llm.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.mark.parametrize(
    "change_to",
    [
        {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}},
        {"model_type": "evil"},
        {"vocab_size": 10**9},
        {"vocab_size": 500_000},
        {"num_hidden_layers": 9},
        {"attn_implementation": "kernels-community/flash-attn"},
        {"dtype": "Tensor"},
        {"rms_norm_eps": -1},
        {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
    ],
)
def test_item_llm_folders_follow_the_same_schema(language_model, change_to):
    change(language_model / "config.json", **change_to)

    def train(**options):
        made = ModelOptions(item_adapter="linear", **options)
        return build_model(
            make_config(made),
            item_weights=made.item_folder if options.get("item_llm") else None,
            user_weights=made.user_llm or None,
        )

    refused(lambda: train(item_llm=str(language_model)))
    if "vocab_size" not in change_to:  # whose words are dropped
        refused(lambda: train(user_llm=str(language_model)))


def test_a_pickle_of_weights_is_not_opened(language_model, tiny_model):
    config = tiny_model.config
    torch.save(tiny_model.item_llm.state_dict(), language_model / "pytorch_model.bin")
    (language_model / "model.safetensors").unlink()
    assert "could run code" in refused(lambda: build_model(config, item_weights=language_model))


def test_an_adapter_of_another_model_is_refused(language_model, tiny_model):
    note = {"base_model_name_or_path": "somebody/else"}
    (language_model / "adapter_config.json").write_text(json.dumps(note))
    assert "adapter" in refused(read_language_model, language_model)


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_what_transformers_writes_for_every_architecture_is_accepted(kind, tmp_path):
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    assert read_language_model(tmp_path)["model_type"] == kind
    check_language_model(json.loads(json.dumps(AutoConfig.for_model(kind).to_dict())), "memory")


def test_the_packaged_model_is_accepted():
    assert read_language_model(pretrained_folder(MINILM))["model_type"] == "bert"


def test_conversion_follows_the_same_schema(language_model, tmp_path):
    change(language_model / "config.json", vocab_size=10**9)
    refused(language_model_config, language_model)
    settings = PUBLISHED["HLLM-1B-Books"]
    refused(lambda: convert("x.bin", tmp_path / "out", settings, item_base=language_model))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("num_items", value) for value in (10**12, 500_000_000, 0, "many", NAN, None)),
        *(("hidden_size", value) for value in (10**9, 0, 16.0, 65_536)),
        *(("num_layers", value) for value in (10**6, 0, 9)),
        *(("num_heads", value) for value in (0, 3, 10**9)),
        *(("dropout", value) for value in (NAN, 1, -1)),
        *(("max_history", value) for value in (0, 999_999, 10**12)),
        ("kind", "evil"), ("kind", []), ("something", 1), ("auto_map", {}),
    ],
)  # fmt: skip
def test_an_odd_id_model_is_one_sentence(tmp_path, key, value):
    config = IDModelConfig(kind="sasrec", num_items=5, hidden_size=16, max_history=4)
    save_id_model(make_id_model(config), tmp_path, list("abcde"))
    load_id_model(tmp_path)
    change(tmp_path / "config.json", **{key: value})
    refused(load_id_model, tmp_path)
