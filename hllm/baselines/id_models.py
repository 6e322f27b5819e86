"""The ID-based models that HLLM is compared with: SASRec, eSASRec, HSTU and an ID-based Llama.

They know an item only by its number. All share one interface: it takes histories of item
embeddings, padded on the right, and gives a state at every item. Data, loss and evaluation are
HLLM's.

B users, S history items (S <= max_history), D width, N items with padding.
Published hyper-parameters are in hllm.baselines.id_presets.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaModel

from hllm.atomic import atomic_files
from hllm.baselines.ligr import LiGRLayer
from hllm.choices import ID_MODELS
from hllm.errors import CheckpointError
from hllm.model import INITIAL_TEMPERATURE
from hllm.schema.configs import CONFIG_BYTES, ID_MODEL_TYPE, check_id_model
from hllm.schema.rules import parse_json, read_object
from hllm.weights.checksums import checksum_metadata
from hllm.weights.files import iter_tensors, read_shapes
from hllm.weights.shapes import build, check_fit, shapes_of

FIXED_TEMPERATURE = 0.05  # of the reference's fix_temp
INIT_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class IDModelConfig:
    """Shape of an ID model.

    Attributes:
        kind: "sasrec", "esasrec", "hstu" or "id-llama".
        num_items: N, padding included.
        hidden_size: D.
        num_layers: of the sequence model.
        num_heads: attention heads; must divide hidden_size.
        num_key_value_heads: id-llama: heads of keys and values; None: num_heads.
        inner_size: width of the feed-forward part (not HSTU, which has none).
        dropout: probability (not id-llama, as in the reference).
        max_history: most items the model reads.
        id_size: id-llama: width of the item table before its projection to hidden_size; None: no
            projection.
        learn_temperature: of cosines; otherwise it is fixed at 0.05.
        cosine: compare states and items by cosine; otherwise by dot product, at temperature 1.
    """

    kind: str
    num_items: int
    hidden_size: int = 512
    num_layers: int = 2
    num_heads: int = 4
    num_key_value_heads: int | None = None
    inner_size: int | None = None
    dropout: float = 0.1
    max_history: int = 10
    id_size: int | None = None
    learn_temperature: bool = True
    cosine: bool = True

    def __post_init__(self) -> None:
        if self.kind not in ID_MODELS:
            raise ValueError(f"kind {self.kind!r}: choose from {', '.join(ID_MODELS)}")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}"
            )
        if self.num_items < 2 or self.max_history < 1:
            raise ValueError(
                f"num_items {self.num_items} (at least 2: padding and an item), "
                f"max_history {self.max_history} (at least 1)"
            )


class IDModel(nn.Module, ABC):
    """Common part: item table and temperature.

    Attributes:
        item_table: (N, id_size or D) learned vectors; row 0 is padding and stays 0.
        logit_scale: () natural log of the factor on cosines; 0 for dot products.
    """

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__()
        self.config = config
        self.item_table = nn.Embedding(
            config.num_items, config.id_size or config.hidden_size, padding_idx=0
        )
        temperature = INITIAL_TEMPERATURE if config.learn_temperature else FIXED_TEMPERATURE
        if not config.cosine:  # the lengths of the vectors are its temperature
            temperature = 1.0
        self.logit_scale = nn.Parameter(
            torch.tensor(math.log(1 / temperature)),
            requires_grad=config.learn_temperature and config.cosine,
        )

    def item_embeddings(self, items: Tensor | None = None) -> Tensor:
        """Embeddings, not normalised.

        Args:
            items: (M,) item indices; None for all.

        Returns:
            (M, D) or (N, D).
        """
        return self.item_table.weight if items is None else self.item_table(items)

    @abstractmethod
    def encode_users(self, item_embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """States (B, S, D) that predict the next item's embedding at each item.

        Args:
            item_embeddings: (B, S, D) histories, oldest first, padded on the right.
            lengths: (B,) number of items of each history; None if none is padded.
        """

    @torch.no_grad()
    def _initialise(self) -> None:
        """Normal(0, 0.02) for matrices, 0 for biases and the padding row; norms keep their 1."""
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=INIT_STD)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.item_table.weight[0] = 0  # padding; normal_ has filled it


class _Positions(nn.Module):
    """Learned absolute positions inside the reference's window, which is padded on the left.

    So positions count from the end: the newest item always has the last one.
    """

    def __init__(self, config: IDModelConfig, rows: int) -> None:
        super().__init__()
        self.max_history = config.max_history
        self.table = nn.Embedding(rows, config.hidden_size)

    def forward(self, item_embeddings: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, S, D) -> (B, S, D) position vectors."""
        batch, width, _ = item_embeddings.shape
        if width > self.max_history:
            raise ValueError(f"{width} items: the model reads at most {self.max_history}")
        device = item_embeddings.device
        if lengths is None:
            lengths = torch.full((batch,), width, device=device)
        # (B, S): item i of a history of n items has position max_history - n + i.
        columns = torch.arange(width, device=device) + self.max_history - lengths.unsqueeze(1)
        # Padding columns would run past the table; nothing reads their states.
        return self.table(columns.clamp(max=self.max_history - 1))


def _causal_mask(width: int, device: torch.device) -> Tensor:
    """(S, S) True where a query (row) may look at a key (column)."""
    return torch.ones(width, width, dtype=torch.bool, device=device).tril()


class SASRec(IDModel):
    """Self-attentive sequential recommendation (Kang and McAuley, arXiv 1808.09781).

    Post-LN Transformer encoder with causal attention over item + position embeddings.
    """

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__(config)
        self.positions = _Positions(config, config.max_history)
        self.norm = nn.LayerNorm(config.hidden_size, eps=1e-12)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(self._layer(config) for _ in range(config.num_layers))
        self._initialise()

    @staticmethod
    def _layer(config: IDModelConfig) -> nn.TransformerEncoderLayer:
        layer = nn.TransformerEncoderLayer(
            d_model=config.hidden_size,
            nhead=config.num_heads,
            dim_feedforward=config.inner_size or config.hidden_size,
            dropout=config.dropout,
            activation="gelu",
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        # The reference has no dropout between the two feed-forward layers.
        layer.dropout = nn.Dropout(0.0)
        return layer

    def encode_users(self, item_embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See IDModel.encode_users."""
        states = item_embeddings + self.positions(item_embeddings, lengths)
        states = self.dropout(self.norm(states))
        hidden = ~_causal_mask(states.shape[1], states.device)
        for layer in self.layers:  # True in the mask hides a key
            states = layer(states, src_mask=hidden)
        return states


class ESASRec(IDModel):
    """Enhanced SASRec (Tikhonovich et al., arXiv 2508.06450): LiGR layers, no norm at either end.

    As published in RecTools, but for the start values: with its Xavier normal ones, positions are
    five times as large as 3,000 items, and training by cosine began with a standstill
    (docs/results.md).
    """

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__(config)
        self.positions = _Positions(config, config.max_history)
        self.dropout = nn.Dropout(config.dropout)
        size = config.hidden_size
        self.layers = nn.ModuleList(
            LiGRLayer(size, config.num_heads, config.inner_size or 4 * size, dropout=config.dropout)
            for _ in range(config.num_layers)
        )
        self._initialise()

    def encode_users(self, item_embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See IDModel.encode_users."""
        states = self.dropout(item_embeddings + self.positions(item_embeddings, lengths))
        hidden = ~_causal_mask(states.shape[1], states.device)
        for layer in self.layers:
            states = layer(states, hidden)
        return states


class _HSTULayer(nn.Module):
    """Pointwise aggregated attention: SiLU instead of softmax, no 1/sqrt(d), gated by u."""

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.window = config.max_history
        self.uvqk = nn.Linear(config.hidden_size, 4 * config.hidden_size, bias=False)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        # Without weights of its own, so that one serves at both places.
        self.norm = nn.LayerNorm(config.hidden_size, eps=1e-6, elementwise_affine=False)

    def forward(self, states: Tensor, causal: Tensor) -> Tensor:
        """(B, S, D) -> (B, S, D)."""
        u, v, q, k = F.silu(self.uvqk(self.norm(states))).chunk(4, dim=-1)
        v, q, k = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (v, q, k)
        )  # (B, heads, S, D / heads)
        # Divided by the window, not by the number of items: as in the reference. The mask is a
        # factor, because there is no softmax that -inf would leave out.
        weights = F.silu(q @ k.transpose(-1, -2)) / self.window * causal  # (B, heads, S, S)
        mixed = (weights @ v).transpose(1, 2).flatten(2)  # (B, S, D)
        return states + self.output(self.dropout(u * self.norm(mixed)))


class HSTU(IDModel):
    """Hierarchical sequential transduction unit (Zhai et al., arXiv 2402.17152).

    As in the reference: without the relative bias by position and time, and without a final norm.
    """

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__(config)
        # One row more than is ever read, as in the reference.
        self.positions = _Positions(config, config.max_history + 1)
        self.layers = nn.ModuleList(_HSTULayer(config) for _ in range(config.num_layers))
        self._initialise()

    def encode_users(self, item_embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See IDModel.encode_users."""
        states = item_embeddings + self.positions(item_embeddings, lengths)
        causal = _causal_mask(states.shape[1], states.device)
        for layer in self.layers:
            states = layer(states, causal)
        return states


class IDLlama(IDModel):
    """A Llama over an item table: HLLM's User LLM without the Item LLM; the paper's SASRec-1B."""

    def __init__(self, config: IDModelConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.projection = nn.Linear(config.id_size, size) if config.id_size else nn.Identity()
        llama = LlamaConfig(
            vocab_size=1,
            hidden_size=size,
            intermediate_size=config.inner_size or 4 * size,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.num_key_value_heads or config.num_heads,
            bos_token_id=None,  # Llama's default tokens would not be in that vocabulary
            eos_token_id=None,
        )
        self.llama = LlamaModel(llama)
        # It reads embeddings, never token ids.
        self.llama.set_input_embeddings(None)  # type: ignore[arg-type]
        self._initialise()

    def item_embeddings(self, items: Tensor | None = None) -> Tensor:
        """See IDModel.item_embeddings."""
        return self.projection(super().item_embeddings(items))

    def encode_users(self, item_embeddings: Tensor, lengths: Tensor | None = None) -> Tensor:
        """See IDModel.encode_users; RoPE is relative, so lengths play no part."""
        return self.llama(inputs_embeds=item_embeddings, use_cache=False).last_hidden_state


_CLASSES: dict[str, type[IDModel]] = {
    "sasrec": SASRec,
    "esasrec": ESASRec,
    "hstu": HSTU,
    "id-llama": IDLlama,
}


def make_id_model(config: IDModelConfig) -> IDModel:
    """Make an ID model with random weights."""
    return _CLASSES[config.kind](config)


def save_id_model(
    model: IDModel,
    folder: str | Path,
    item_ids: list[str],
    weights: Mapping[str, Tensor] | None = None,
) -> None:
    """Write config.json, item_ids.json and model.safetensors.

    Args:
        model: to save.
        folder: made if missing.
        item_ids: N ids by item index; without them nobody knows which item a row of the table is.
        weights: its whole state, if model.state_dict() holds only parts (hllm.training.fsdp).
    """
    weights = model.state_dict() if weights is None else weights
    state = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    values = {"model_type": ID_MODEL_TYPE, **asdict(model.config)}
    with atomic_files(folder, opened_by="config.json") as temporary:
        metadata = {"format": "pt"} | checksum_metadata(state)
        save_file(state, temporary / "model.safetensors", metadata=metadata)
        for name, content in (("config.json", values), ("item_ids.json", item_ids)):
            (temporary / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


def load_id_model(folder: str | Path) -> tuple[IDModel, list[str]]:
    """Load what save_id_model wrote: the model in eval mode on the CPU, and its item ids.

    Raises:
        CheckpointError: something is missing, damaged or does not fit together.
    """
    folder = Path(folder)
    try:
        values = read_object(folder / "config.json", CONFIG_BYTES)
        if values.get("model_type") != ID_MODEL_TYPE:
            raise ValueError(f"model_type is not {ID_MODEL_TYPE!r}")
        check_id_model(values, str(folder / "config.json"))
        config = IDModelConfig(**{k: v for k, v in values.items() if k != "model_type"})
        item_ids = parse_json((folder / "item_ids.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{folder} holds no usable ID model ({error}): restore the folder or train again."
        ) from error
    if not isinstance(item_ids, list) or not all(isinstance(item, str) for item in item_ids):
        raise CheckpointError(f"{folder}: item_ids.json is not a list of texts: train again.")
    # Before memory is taken for the model: a stranger's config.json may name any size.
    check_fit(shapes_of(lambda: make_id_model(config), folder), read_shapes(folder), folder)
    if len(item_ids) != config.num_items:
        raise CheckpointError(
            f"{folder}: item_ids.json names {len(item_ids)} items, the model has "
            f"{config.num_items}: restore both from one training."
        )
    model = build(lambda: make_id_model(config), folder)
    model.load_state_dict(dict(iter_tensors(folder)))
    return model.eval(), item_ids
