"""Configuration of an HLLM model: the two language models and everything that fixes an item's text.

It travels with the weights (config.json), so that what was trained is what is evaluated and served.
"""

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from transformers import AutoConfig, PretrainedConfig

from hllm.choices import ADAPTERS, GENERATIVE, OBJECTIVES, POOLINGS
from hllm.schema.configs import check_hllm
from hllm.text import DEFAULT_PROMPT, item_text


class HLLMConfig(PretrainedConfig):
    """What an HLLM is made of.

    Args:
        item_config: configuration of the Item LLM (any transformers text model: Llama, BERT, ...).
        user_config: configuration of the User LLM (a causal decoder of transformers).
        text_keys: fields that make up an item's text, in order.
        item_prompt: put in front of every item text.
        max_text_tokens: most text tokens of an item, without the [ITEM] token (MAX_TEXT_LENGTH).
        max_history: most items the User LLM reads (MAX_ITEM_LIST_LENGTH).
        item_pooling: "item_token" = hidden state at the learned [ITEM] token appended to the text
            (paper section 3.1); "mean" = mean over the text tokens' states.
        right_align_positions: number positions so that [ITEM] is at position max_text_tokens,
            however long the text is; the reference does so. No effect with RoPE. With learned
            absolute positions (BERT) it must agree with how the weights were trained.
        item_adapter: how Item LLM states become item embeddings of the User LLM's width: "none"
            (widths must agree), "linear", or "mlp" (for a frozen Item LLM: fixed whitening, then a
            residual two-layer network).
        item_adapter_hidden_size: width of the "mlp" adapter's hidden layer.
        item_base: None, or the name of a pretrained model of hllm.weights.packaged that the Item
            LLM's weights start from. What training did not change of it is not saved.
        item_lora: None, or the peft LoraConfig arguments of the Item LLM's adapter.
        user_base: None, or the name of a packaged pretrained model whose weights the User LLM has
            below its user_lora. They are not saved.
        user_lora: None, or the peft LoraConfig arguments of the User LLM's adapter.
        objective: "generative" (the next item's embedding), or "early_fusion" or "late_fusion",
            with a head for the probability of a click (hllm.click_head).
    """

    model_type = "hllm"
    sub_configs: ClassVar[dict[str, Any]] = {"item_config": AutoConfig, "user_config": AutoConfig}

    def __init__(
        self,
        item_config: PretrainedConfig | dict[str, Any] | None = None,
        user_config: PretrainedConfig | dict[str, Any] | None = None,
        text_keys: tuple[str, ...] | list[str] = ("title", "tag", "description"),
        item_prompt: str = DEFAULT_PROMPT,
        max_text_tokens: int = 256,
        max_history: int = 50,
        item_pooling: str = "item_token",
        right_align_positions: bool = False,
        item_adapter: str = "none",
        item_adapter_hidden_size: int = 1024,
        item_base: str | None = None,
        item_lora: dict[str, Any] | None = None,
        user_base: str | None = None,
        user_lora: dict[str, Any] | None = None,
        objective: str = GENERATIVE,
        **kwargs: Any,
    ) -> None:
        for name, value, allowed in (
            ("item_pooling", item_pooling, POOLINGS),
            ("item_adapter", item_adapter, ADAPTERS),
            ("objective", objective, OBJECTIVES),
        ):
            if value not in allowed:
                raise ValueError(f"{name} {value!r}: choose from {', '.join(allowed)}")
        for name, number in (("max_text_tokens", max_text_tokens), ("max_history", max_history)):
            if number < 1:
                raise ValueError(f"{name} {number}: must be at least 1")
        self.item_config = _sub_config(item_config)
        self.user_config = _sub_config(user_config)
        self.text_keys = list(text_keys)  # JSON has no tuples
        self.item_prompt = item_prompt
        self.max_text_tokens = max_text_tokens
        self.max_history = max_history
        self.item_pooling = item_pooling
        self.right_align_positions = right_align_positions
        self.item_adapter = item_adapter
        self.item_adapter_hidden_size = item_adapter_hidden_size
        self.item_base = item_base
        self.item_lora = item_lora
        self.user_base = user_base
        self.user_lora = user_lora
        self.objective = objective
        super().__init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> "HLLMConfig":
        """Make one from parsed JSON, after a check. Every loader comes this way.

        Raises:
            CheckpointError: the closed schema of model folders (hllm.schema.configs) refuses it.
        """
        check_hllm(config_dict, str(kwargs.get("name_or_path") or "config.json"))
        return super().from_dict(config_dict, **kwargs)

    @property
    def item_size(self) -> int:
        """Width of the Item LLM's hidden states."""
        return int(self.item_config.hidden_size)

    @property
    def embedding_size(self) -> int:
        """Width of item and user embeddings: the User LLM's hidden size."""
        return int(self.user_config.hidden_size)

    def item_text(self, fields: Mapping[str, Any] | None) -> str:
        """The text that this model reads of an item; see hllm.text.item_text."""
        return item_text(fields, self.text_keys, self.item_prompt)

    def describe(self) -> str:
        """The two language models for a person: "all-MiniLM-L6-v2 -> Llama 4 x 256"."""
        return " \u2192 ".join(self.describe_both())

    def describe_both(self) -> tuple[str, str]:
        """Item LLM and User LLM for a person."""
        item = self.item_base or f"{self.item_config.model_type} {self.item_size}"
        lora = " + LoRA" if self.item_lora else ""
        user = self.user_config
        kind = self.user_base or user.model_type.capitalize()
        user_lora = " + LoRA" if self.user_lora else ""
        size = f"{user.num_hidden_layers}\u00d7{user.hidden_size}"
        return f"{item}{lora}", f"{kind}{user_lora} {size}"


def _sub_config(value: PretrainedConfig | dict[str, Any] | None) -> PretrainedConfig:
    if value is None:  # transformers wants every configuration to work without arguments
        value = {"model_type": "llama"}
    if isinstance(value, dict):
        options = dict(value)
        value = AutoConfig.for_model(options.pop("model_type"), **options)
    # Where weights were stored on the machine that trained is nobody's business, and would make the
    # fingerprints of equal models differ.
    value = copy.deepcopy(value)
    value.name_or_path = ""
    return value
