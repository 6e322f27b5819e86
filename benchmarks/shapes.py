"""The models that benchmarks compute with: shapes of real ones, with random weights."""

from pathlib import Path

import torch
from transformers import AutoModel, LlamaConfig, PreTrainedModel
from transformers.initialization import no_init_weights

from hllm.checkpoint import save_model
from hllm.config import HLLMConfig
from hllm.model import HLLM, without_vocabulary

# Of words, which a User LLM never reads: none that would be a beginning or an end.
_WORDS = {"vocab_size": 1, "bos_token_id": None, "eos_token_id": None}
USER_LLMS = {
    "books": LlamaConfig(
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        **_WORDS,
    ),
    "tinyllama": LlamaConfig(
        hidden_size=2048,
        intermediate_size=5632,
        num_hidden_layers=22,
        num_attention_heads=32,
        num_key_value_heads=4,
        **_WORDS,
    ),
}
TINYLLAMA = USER_LLMS["tinyllama"]
_ITEM_LLM = LlamaConfig(
    hidden_size=32,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=1,
    **_WORDS | {"vocab_size": 8},
)


def precisions() -> tuple[str, ...]:
    """What runs here."""
    return (
        ("fp32", "bf16", "nf4") if torch.cuda.is_available() else ("fp32", "bf16", "int8", "int4")
    )


def new_user_llm(
    config: LlamaConfig, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> PreTrainedModel:
    """Random weights, drawn in one cheap pass where the model will compute."""
    with torch.device(device), no_init_weights():
        model = AutoModel.from_config(without_vocabulary(config), dtype=dtype)
    generator = torch.Generator(device).manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.uniform_(-0.03, 0.03, generator=generator)
            else:
                parameter.fill_(1)
    return model.eval()


def make_folder(folder: Path, max_history: int = 200, user_config: LlamaConfig = TINYLLAMA) -> None:
    """A model folder with random weights in bfloat16, of TinyLlama's shape if none is given."""
    config = HLLMConfig(
        _ITEM_LLM, user_config, item_adapter="linear", text_keys=["title"], max_history=max_history
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    save_model(HLLM(config), folder)
    torch.set_default_dtype(torch.float32)
