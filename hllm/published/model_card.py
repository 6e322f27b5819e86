"""The README.md of a converted model: where it comes from, which licences apply, what it reads."""

from hllm.config import HLLMConfig
from hllm.published.sources import Origin

REFERENCE = "https://github.com/bytedance/HLLM"
_LICENCES = {
    "TinyLlama": "TinyLlama-1.1B: Apache-2.0",
    "Baichuan2": "Baichuan2-7B: Community License for Baichuan 2 Model (its own terms of use)",
}


def model_card(config: HLLMConfig, origin: Origin, file_name: str) -> str:
    """Write the card (Markdown).

    Args:
        config: of the converted model.
        origin: where the weights come from.
        file_name: of the checkpoint that was converted.
    """
    item, user = config.item_config, config.user_config
    licence = _LICENCES.get(origin.base, "that of the base models")
    rows = {
        "Source": origin.source or f"`{file_name}`, a checkpoint of the reference implementation",
        "Trained on": origin.data or "not recorded",
        "Item LLM": f"{item.model_type}, {item.num_hidden_layers} layers x {item.hidden_size}",
        "User LLM": f"{user.model_type}, {user.num_hidden_layers} layers x {user.hidden_size}",
        "Weights": _weights(config),
        "Text keys": ", ".join(config.text_keys),
        "Prompt": f"`{config.item_prompt}`" if config.item_prompt.strip() else "none",
        "Text tokens": f"at most {config.max_text_tokens}, then the [ITEM] token",
        "History": f"the last {config.max_history} items",
        "Pooling": config.item_pooling,
        "Normalisation": "the User LLM reads item embeddings as they are; a score is the cosine",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""---
library_name: transformers
license: {"apache-2.0" if origin.base == "TinyLlama" else "other"}
tags: [recommendation, hllm]
---
# HLLM

Converted from a checkpoint of [the reference implementation]({REFERENCE}) of *HLLM: Enhancing
Sequential Recommendations via Hierarchical Large Language Models for Item and User Modeling*
(arXiv 2409.12740). Language-model heads, the User LLM's word embeddings and poolers take no part
in HLLM and were left out; all other weights are the checkpoint's, in the precision named below.

| | |
|---|---|
{table}

## Licence

The reference implementation is Apache-2.0. The weights started from a base model, whose licence
applies to them as well: {licence}.
"""


def _weights(config: HLLMConfig) -> str:
    name = str(config.dtype).removeprefix("torch.")
    # config.dtype says nothing of matrices in NF4.
    if not hasattr(config, "quantization_config"):
        return name
    return f"matrices of both language models in NF4 with double quantization, the others {name}"
