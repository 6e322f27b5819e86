"""HLLM: hierarchical large language models for sequential recommendation (arXiv 2409.12740).

Recommend with a trained model and the item embeddings in its folder:

>>> from hllm import Recommender
>>> recommender = Recommender.from_pretrained("assets/books/model")
>>> found = recommender.recommend(["dune-herbert", "solaris-lem"], top_k=5)
>>> len(found.items), found.num_candidates
(5, 1397)
>>> found.items[0].item_id not in ["dune-herbert", "solaris-lem"]
True

The model itself is a model of transformers, an Item LLM and a User LLM:

>>> import torch
>>> from transformers import LlamaConfig
>>> from hllm import HLLM, HLLMConfig
>>> llama = LlamaConfig(
...     vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
...     num_attention_heads=4,
... )
>>> model = HLLM(HLLMConfig(item_config=llama, user_config=llama))
>>> token_ids = [[5, 6, 7], [8, 9], [10]]  # the texts of three items
>>> model.encode_items(token_ids).shape
torch.Size([3, 32])
>>> histories = torch.tensor([[0, 1, 2]])  # one user who chose all three, oldest first
>>> model(token_ids, histories).shape  # after each item: the next one's predicted embedding
torch.Size([1, 3, 32])

A name is imported when it is first used: torch and transformers take seconds, ``import hllm`` none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hllm.config import HLLMConfig
    from hllm.model import HLLM
    from hllm.recommend import Recommendation, Recommendations, Recommender

__all__ = ["HLLM", "HLLMConfig", "Recommendation", "Recommendations", "Recommender"]

_MODULES = {
    "HLLM": "hllm.model",
    "HLLMConfig": "hllm.config",
    "Recommendation": "hllm.recommend",
    "Recommendations": "hllm.recommend",
    "Recommender": "hllm.recommend",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
