import pytest
import torch
from transformers import LlamaConfig

from hllm.checkpoint import save_model
from hllm.config import HLLMConfig
from hllm.model import HLLM

# Blocks of 64 and 128 numbers fit, and layers that kernels for AVX512-BF16 can take.
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
