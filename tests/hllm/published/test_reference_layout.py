import json

import pytest
import torch

from hllm.errors import CheckpointError
from hllm.published.reference_layout import language_model_config, translate


def names(key, shape=(6, 2)):
    return [name for name, _ in translate(key, torch.empty(shape))]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("item_emb_tokens", "item_emb_tokens"),
        ("logit_scale", "logit_scale"),
        ("item_llm.model.embed_tokens.weight", "item_llm.embed_tokens.weight"),
        ("user_llm.model.norm.weight", "user_llm.norm.weight"),
        (
            "item_llm.encoder.layer.0.output.dense.bias",
            "item_llm.encoder.layer.0.output.dense.bias",
        ),
    ],
)
def test_names(theirs, ours):
    assert names(theirs) == [ours]


@pytest.mark.parametrize(
    "key",
    [
        "item_llm.lm_head.weight",
        "user_llm.lm_head.weight",
        "user_llm.model.embed_tokens.weight",
        "item_llm.pooler.dense.bias",
        "user_llm.model.layers.0.self_attn.rotary_emb.inv_freq",
        "item_llm.embeddings.position_ids",
    ],
)
def test_what_takes_no_part_is_dropped(key):
    assert names(key) == []


def test_fused_attention_is_split_in_order():
    fused = torch.arange(12.0).reshape(6, 2)
    parts = dict(translate("user_llm.model.layers.3.self_attn.W_pack.weight", fused))
    prefix = "user_llm.layers.3.self_attn"
    assert parts[f"{prefix}.q_proj.weight"].tolist() == [[0, 1], [2, 3]]
    assert parts[f"{prefix}.k_proj.weight"].tolist() == [[4, 5], [6, 7]]
    assert parts[f"{prefix}.v_proj.weight"].tolist() == [[8, 9], [10, 11]]
    assert all(part.data_ptr() >= fused.data_ptr() for part in parts.values())  # views: no copy


def test_baichuan_becomes_the_llama_that_computes_the_same(tmp_path):
    values = {
        "model_type": "baichuan", "vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 128, "rms_norm_eps": 1e-6,
        "model_max_length": 512, "hidden_act": "silu", "auto_map": {"AutoConfig": "evil.Config"},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(values))
    config = language_model_config(tmp_path)
    assert config.model_type == "llama"
    assert (config.num_key_value_heads, config.max_position_embeddings) == (4, 512)
    assert config.rms_norm_eps == 1e-6


@pytest.mark.parametrize("content", [None, "{not json"])
def test_unreadable_configuration(tmp_path, content):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        language_model_config(tmp_path)
