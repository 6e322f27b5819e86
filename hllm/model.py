"""HLLM: an Item LLM that compresses a text into one embedding, a User LLM that predicts the next.

Shapes: B users, S history items, N items, T text tokens (longest of a batch), H width of the Item
LLM, D width of the User LLM = width of item and user embeddings.

Both language models are stock transformers models. Differs from the reference: items are padded
sequences instead of one packed sequence that only flash-attention keeps apart; histories are padded
on the right instead of the left (RoPE is relative, so the outputs agree).
"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from hllm.choices import GENERATIVE
from hllm.click_head import ClickHead
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.weights.nf4_format import check_four_bit

# Arguments of from_pretrained that say where a model is; its configuration is at the same place.
_HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder")
INITIAL_TEMPERATURE = 0.07  # CLIP's, as the reference; logit_scale starts at ln(1 / 0.07)


class ItemAdapter(nn.Module):
    """Residual network from frozen Item LLM states to item embeddings.

    The states are whitened first, by a fixed affine map that is fitted on the catalogue.
    """

    def __init__(self, item_size: int, hidden_size: int, embedding_size: int) -> None:
        super().__init__()
        # States of a sentence encoder lie in a narrow cone: whitened, the little that differs
        # between items counts.
        self.whiten = nn.Linear(item_size, item_size)
        self.whiten.requires_grad_(False)
        self.shortcut = nn.Linear(item_size, embedding_size)
        self.up = nn.Linear(item_size, hidden_size)
        self.down = nn.Linear(hidden_size, embedding_size)

    @torch.no_grad()
    def fit_whitening(self, states: Tensor, *, shrinkage: float = 1e-3) -> None:
        """Set the whitening from states (N, H) of the catalogue: ZCA with a shrunk spectrum."""
        # Eigenvalues span many orders of magnitude: too many for float32.
        states = states.double()
        mean = states.mean(dim=0)
        covariance = torch.cov((states - mean).T)
        values, vectors = torch.linalg.eigh(covariance)
        # Without shrinkage, directions in which items hardly differ would be blown up to noise.
        scale = (values.clamp_min(0) + shrinkage * values.mean()).rsqrt()
        matrix = vectors @ torch.diag(scale) @ vectors.T
        self.whiten.weight.copy_(matrix)
        self.whiten.bias.copy_(-matrix @ mean)

    @torch.no_grad()
    def scale_output(self, states: Tensor, rms: float) -> None:
        """Let the embeddings of states (N, H) have this root mean square."""
        factor = rms / self(states).square().mean().sqrt()
        for layer in (self.shortcut, self.down):
            layer.weight.mul_(factor)
            layer.bias.mul_(factor)

    def forward(self, states: Tensor) -> Tensor:
        """states: (N, H) -> (N, D)."""
        states = self.whiten(states)
        return self.shortcut(states) + self.down(nn.functional.gelu(self.up(states)))


def item_llm_options(config: PretrainedConfig) -> dict[str, bool]:
    """What an Item LLM of this configuration is made with, beside the configuration."""
    # A pooler would be dead weight: the item embedding is a token's state.
    return {"add_pooling_layer": False} if config.model_type == "bert" else {}


def make_item_llm(config: PretrainedConfig) -> PreTrainedModel:
    """A new, random Item LLM."""
    return AutoModel.from_config(config, trust_remote_code=False, **item_llm_options(config))


def make_user_llm(config: PretrainedConfig) -> PreTrainedModel:
    """A new User LLM. It is fed embeddings, never token ids: its vocabulary is dropped."""
    user_llm = AutoModel.from_config(config, trust_remote_code=False)
    user_llm.set_input_embeddings(None)
    return user_llm


def without_vocabulary(config: PretrainedConfig) -> PretrainedConfig:
    """The same User LLM with a vocabulary of one word, for models whose weights are replaced."""
    # make_user_llm drops the vocabulary, but only after transformers has made it: a configuration
    # could take any amount of memory that no stored weight accounts for.
    small = copy.deepcopy(config)
    small.vocab_size, small.pad_token_id = 1, None  # a padding token must be one of the words
    return small


def make_adapter(config: HLLMConfig) -> nn.Module:
    """A new adapter from Item LLM states to item embeddings."""
    item_size, embedding_size = config.item_size, config.embedding_size
    if config.item_adapter == "mlp":
        return ItemAdapter(item_size, config.item_adapter_hidden_size, embedding_size)
    if config.item_adapter == "linear":
        return nn.Linear(item_size, embedding_size)
    if item_size != embedding_size:
        raise ValueError(
            f"Item LLM width {item_size} and User LLM width {embedding_size} differ: "
            "set item_adapter to 'linear' or 'mlp'"
        )
    return nn.Identity()


class HLLM(PreTrainedModel):
    """The two language models, the [ITEM] token and the logit scale.

    Args:
        config: what it is made of.
        item_llm: an Item LLM of this configuration that exists already (hllm.training.qlora).
            None: a new, random one.

    Attributes:
        item_llm: transformers model that reads item texts (Paper: 2409.12740 section 3.1).
        user_llm: transformers decoder that reads item embeddings (section 3.2).
        item_emb_tokens: (1, 1, H) the learned [ITEM] token.
        item_adapter: Item LLM states -> item embeddings.
        logit_scale: () natural log of the factor on cosine similarities.
        click_head: of the discriminative variants; None in the generative model.
    """

    config_class = HLLMConfig
    config: HLLMConfig
    # What transformers looks up before it loads, trains or spreads a model.
    base_model_prefix = ""
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _no_split_modules = ["LlamaDecoderLayer", "BertLayer"]  # noqa: RUF012  as transformers declares it

    def __init__(self, config: HLLMConfig, item_llm: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        if item_llm is None:
            item_llm = make_item_llm(config.item_config)
        self.item_llm = item_llm
        self.user_llm = make_user_llm(config.user_config)
        self.item_emb_tokens = nn.Parameter(torch.zeros(1, 1, config.item_size))
        self.item_adapter = make_adapter(config)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / INITIAL_TEMPERATURE)))
        self.click_head = (
            None
            if config.objective == GENERATIVE
            else ClickHead(config.objective, config.embedding_size)
        )
        self.post_init()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *model_args: Any, **options: Any
    ) -> "HLLM":
        """Load a full model folder or a model of the Hub, as any transformers model.

        Raises:
            CheckpointError: the folder holds only what training changed of a packaged Item LLM. Or
                it lacks the 4-bit matrices (python -m hllm.checkpoint convert --dtype nf4) that its
                config.json promises.
        """
        name, config = pretrained_model_name_or_path, options.get("config")
        if name is not None and not isinstance(config, HLLMConfig):
            hub = {key: options[key] for key in _HUB_OPTIONS if key in options}
            config = HLLMConfig.from_pretrained(config or name, trust_remote_code=False, **hub)
        # transformers would fill what the folder lacks with random numbers and a warning.
        if config is not None and any(
            (config.item_base, config.item_lora, config.user_base, config.user_lora)
        ):
            raise CheckpointError(
                f"{name} holds changes to a language model, not a whole one: load it with "
                "hllm.checkpoint.load_model."
            )
        options |= {"trust_remote_code": False, "use_safetensors": True}  # no code, no pickle
        loaded = super().from_pretrained(name, *model_args, **options)
        # A pair if options ask for output_loading_info.
        model: Any = loaded[0] if isinstance(loaded, tuple) else loaded
        if getattr(getattr(model, "hf_quantizer", None), "pre_quantized", False):
            check_four_bit(model.matrices(), name)  # transformers itself does not check
        return loaded

    def matrices(self) -> dict[str, nn.Linear]:
        """The linear layers of both language models, by the names of their weights."""
        return {
            f"{tower}.{name}.weight": layer
            for tower in ("item_llm", "user_llm")
            for name, layer in self.get_submodule(tower).named_modules()
            if isinstance(layer, nn.Linear)
        }

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if module is self:
            nn.init.normal_(self.item_emb_tokens, std=0.02)
            nn.init.constant_(self.logit_scale, math.log(1 / INITIAL_TEMPERATURE))
        elif isinstance(module, ClickHead):
            if module.user_token is not None:
                nn.init.normal_(module.user_token, std=0.02)
        else:
            super()._init_weights(module)

    def item_states(self, token_ids: Sequence[Sequence[int]]) -> Tensor:
        """Run the Item LLM over one batch of items.

        Args:
            token_ids: N lists of text token ids, see hllm.text.tokenize.

        Returns:
            (N, H) states at the [ITEM] token, or the mean of the text tokens' states.
        """
        inputs = self.pad_items(token_ids)
        embeds = self.item_llm.get_input_embeddings()(inputs["input_ids"])  # (N, T + 1, H)
        pooled_by_token = self.config.item_pooling == "item_token"
        lengths = inputs["lengths"]
        rows = torch.arange(len(lengths), device=embeds.device)
        if pooled_by_token:
            item_token = self.item_emb_tokens.to(embeds.dtype).expand(len(lengths), 1, -1)
            is_item = inputs["is_item"].unsqueeze(-1)  # (N, T + 1, 1)
            embeds = torch.where(is_item, item_token, embeds)
        states = self.item_llm(
            inputs_embeds=embeds,
            attention_mask=inputs["attention_mask"],
            position_ids=inputs["position_ids"],
        ).last_hidden_state  # (N, T + 1, H), after the final norm
        if pooled_by_token:
            return states[rows, lengths]  # (N, H)
        mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1).clamp_min(1)  # an empty text: 0, not NaN

    def pad_items(self, token_ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Pad texts on the right to (N, T + 1), with room for the [ITEM] token behind each."""
        by_token = self.config.item_pooling == "item_token"
        device = self.item_emb_tokens.device
        lengths = torch.tensor([len(ids) for ids in token_ids], dtype=torch.long)
        width = int(lengths.max()) + int(by_token) if len(token_ids) else 1
        input_ids = torch.zeros(len(token_ids), max(width, 1), dtype=torch.long)
        for row, ids in enumerate(token_ids):
            input_ids[row, : len(ids)] = torch.as_tensor(ids, dtype=torch.long)
        columns = torch.arange(input_ids.shape[1]).unsqueeze(0)
        positions = columns.expand_as(input_ids)
        if self.config.right_align_positions:
            # Clamped: padding would run past the table of learned positions. It is masked anyway.
            size = self.config.max_text_tokens
            offset = size - lengths.unsqueeze(1)
            positions = (positions + offset).clamp(max=size if by_token else size - 1)
        batch = {
            "input_ids": input_ids,
            "attention_mask": (columns < (lengths + int(by_token)).unsqueeze(1)).long(),
            "position_ids": positions,
            "is_item": columns == lengths.unsqueeze(1),
            "lengths": lengths,
        }
        return {name: tensor.to(device) for name, tensor in batch.items()}

    def encode_items(self, token_ids: Sequence[Sequence[int]]) -> Tensor:
        """Item embeddings (N, D) of one batch of items, not normalised."""
        return self.item_adapter(self.item_states(token_ids))

    def encode_users(
        self, item_embeddings: Tensor, past_key_values: Any = None, use_cache: bool = False
    ) -> Any:
        """Run the User LLM over item embeddings.

        Args:
            item_embeddings: (B, S, D) histories, oldest first, padded on the right.
            past_key_values: transformers cache of the preceding items; changed in place.
            use_cache: whether to return a cache.

        Returns:
            transformers output; ``last_hidden_state`` (B, S, D): at each item the prediction of the
            next item's embedding, not normalised.
        """
        # No mask: attention is causal, so that padding behind an item cannot reach it.
        return self.user_llm(
            inputs_embeds=item_embeddings.to(self.dtype),
            past_key_values=past_key_values,
            use_cache=use_cache,
        )

    def forward(self, token_ids: Sequence[Sequence[int]], histories: Tensor) -> Tensor:
        """User states for histories of items given by their texts: the whole model in one call.

        Args:
            token_ids: N unique items' token ids.
            histories: (B, S) rows into token_ids, padded on the right with any valid row.

        Returns:
            (B, S, D) predictions of the next item's embedding at each item.
        """
        return self.encode_users(self.encode_items(token_ids)[histories]).last_hidden_state


AutoConfig.register("hllm", HLLMConfig)
AutoModel.register(HLLMConfig, HLLM)


def to_bfloat16(model: nn.Module) -> None:
    """Round the parameters to bfloat16 in place, as DeepSpeed's bf16 evaluation does.

    Buffers stay as they are.
    """
    # Not model.bfloat16(): rounding RoPE's inverse frequencies would change every position, and the
    # reference's rotary tables are computed in float32.
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
