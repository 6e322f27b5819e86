"""Encoding an item that nobody has embedded yet, such as one that is typed in: the Item LLM, live.

A large Item LLM runs in few bits as the User LLM does (hllm.serving.precision): int4 through ONNX
Runtime on a CPU, NF4 on a GPU. Others stay exact. It is loaded when the first item is asked for:
most visitors only click, and the items of the catalogue are embedded already.

T text tokens, H width of the Item LLM, D width of an item embedding.
"""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.initialization import no_init_weights

from hllm.checkpoint import load_item_llm
from hllm.errors import CheckpointError
from hllm.model import HLLM, make_adapter, make_item_llm, to_bfloat16, without_vocabulary
from hllm.model_folder import ITEM_LLM, ModelFolder
from hllm.serving.precision import FOUR_BITS_FROM_PARAMETERS, fits_few_bits, precision_choices
from hllm.serving.user_model import graph_folder, has_cuda
from hllm.text import tokenize
from hllm.weights.shapes import shapes_of

_TOKEN = "item_emb_tokens"
_ADAPTER = "item_adapter."
MAX_TOKENS_SHOWN = 32
Encode = Callable[[list[int]], Tensor]  # token ids of a text -> (D,)
# A model folder and token ids of N texts -> (N, D) float32.
EncodeElsewhere = Callable[[Path, Sequence[Sequence[int]]], np.ndarray]


@dataclass(frozen=True)
class ItemText:
    """The text of an item as its Item LLM is given it.

    Attributes:
        text: with the prompt and the names of the fields.
        num_tokens: that are read, special ones included; the [ITEM] token is not among them.
        is_cut: whether the text has more tokens than are read.
        unread: the end of the text that is cut off; "" also where the tokenizer cannot tell.
        tokens: the first of them as texts, MAX_TOKENS_SHOWN at most.
        has_item_token: whether [ITEM] follows, whose state becomes the embedding; otherwise it is
            the mean of the tokens' states.
    """

    text: str
    num_tokens: int
    is_cut: bool
    unread: str
    tokens: tuple[str, ...]
    has_item_token: bool


class ItemModel:
    """The Item LLM of a model folder, in few bits if it is large.

    Args:
        source: a trained or converted HLLM.
        cache: where graphs of int4 and int8 are kept; None: the system's temporary folder.
        elsewhere: encodes for a large Item LLM, in bfloat16 on a GPU that is not this process's
            own; None: nothing does.

    Attributes:
        precision: fp32, bf16, int8, int4 or nf4.
        device: where it computes.
        num_parameters: of the Item LLM.

    Raises:
        CheckpointError: config.json describes no model that can be built.
    """

    def __init__(
        self,
        source: ModelFolder | str | Path,
        *,
        cache: Path | None = None,
        elsewhere: EncodeElsewhere | None = None,
    ) -> None:
        self._folder = ModelFolder.of(source)
        self._cache = cache
        config = self._folder.config.item_config
        # From the configuration, not from the weights: who never types an item in can do without.
        shapes = shapes_of(lambda: make_item_llm(config), self._folder.path)
        size = sum(torch.Size(shape).numel() for shape in shapes.values())
        self.num_parameters = size
        # NF4 is put into a Llama matrix by matrix; other kinds of models stay as they are.
        few_bits = fits_few_bits(config)
        # Not measured: nobody shall wait at the start for what may never be typed in.
        choices = precision_choices(config, size, has_cuda=has_cuda()) if few_bits else ("fp32",)
        # In int8 typed-in books had, less their mean, cosine 0.11 to SmolLM2's own embeddings.
        self.precision = "fp32" if "fp32" in choices else choices[-1]
        self.device = "cuda" if self.precision == "nf4" else "cpu"
        self._elsewhere = elsewhere if size >= FOUR_BITS_FROM_PARAMETERS else None
        if self._elsewhere:
            self.precision, self.device = "bf16", "cuda"
        self._lock = threading.Lock()
        self._tokenizing = threading.Lock()  # of its own: a text is shown while the model loads
        self._encode: Encode | None = None

    def encode(self, fields: Mapping[str, Any]) -> Tensor:
        """Embed an item.

        Args:
            fields: of the item, as the catalogue has them; the model reads its text_keys.

        Returns:
            (D,) float32 on the CPU, not normalised.

        Raises:
            CheckpointError: weights or tokenizer are missing or damaged.
            HLLMError: where it is encoded elsewhere, why it was not.
        """
        config = self._folder.config
        text = config.item_text(fields)
        with self._tokenizing:
            [ids] = tokenize(self._tokenizer, [text], config.max_text_tokens)
        if self._elsewhere:
            return torch.from_numpy(self._elsewhere(self._folder.path, [ids]))[0]
        with self._lock:  # one text at a time: it uses every core
            encode = self._loaded()
            with torch.inference_mode():
                return encode(ids).float().cpu()

    def load(self) -> None:
        """Load what the first `encode` would have to load.

        Raises:
            CheckpointError: see encode.
        """
        with self._tokenizing:
            _ = self._tokenizer
        if self._elsewhere is None:
            with self._lock:
                self._loaded()

    def text_of(self, fields: Mapping[str, Any]) -> ItemText:
        """What the Item LLM is given of an item; does not load it.

        Args:
            fields: see encode.

        Raises:
            CheckpointError: the tokenizer is missing or damaged.
        """
        config, limit = self._folder.config, self._folder.config.max_text_tokens
        text = config.item_text(fields)
        with self._tokenizing:
            tokenizer = self._tokenizer
            [ids] = tokenize(tokenizer, [text], limit)
            [whole] = tokenize(tokenizer, [text], limit + 1)
            is_cut, unread = len(whole) > limit, ""
            if is_cut and tokenizer.is_fast:
                places = tokenizer(text, return_offsets_mapping=True, verbose=False)
                # A special token in front has the place (0, 0).
                unread = text[
                    max((end for _, end in places["offset_mapping"][:limit]), default=0) :
                ]
            tokens = tuple(str(tokenizer.decode([token])) for token in ids[:MAX_TOKENS_SHOWN])
        return ItemText(text, len(ids), is_cut, unread, tokens, config.item_pooling == "item_token")

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return self._folder.tokenizer()

    def _loaded(self) -> Encode:
        if self._encode is None:
            self._encode = self._load()
        return self._encode

    def _load(self) -> Encode:
        if self.precision in ("int4", "int8"):
            bits = int(self.precision.removeprefix("int"))
            return _onnx_encoder(self._folder, graph_folder(self._cache), bits)
        if self.precision == "nf4":
            from hllm.serving.nf4_model import load_nf4_item_llm  # noqa: PLC0415  imports bitsandbytes, which takes seconds

            item_llm = load_nf4_item_llm(self._folder, torch.device(self.device))
        else:
            item_llm = load_item_llm(self._folder)
        model = _item_half(self._folder, item_llm)
        return lambda ids: model.encode_items([ids])[0]


def _onnx_encoder(folder: ModelFolder, graphs: Path, bits: int) -> Encode:
    from hllm.serving.onnx_graph import WORDS_FILE  # noqa: PLC0415  imports onnx, which takes time
    from hllm.serving.onnx_incremental import OnnxIncremental, prepare_onnx  # noqa: PLC0415  the same

    path = prepare_onnx(folder, graphs, bits=bits, tower=ITEM_LLM)
    # Mapped: a text needs a few rows of it.
    words = np.load(path.with_name(WORDS_FILE), mmap_mode="r")
    llm, adapter, item_token = OnnxIncremental(path), make_adapter(folder.config), _token(folder)
    _fill_adapter(adapter, folder)
    by_token = folder.config.item_pooling == "item_token"

    def encode(ids: list[int]) -> Tensor:
        embeds = torch.from_numpy(words[ids])  # (T, H); a list copies
        if by_token:
            embeds = torch.cat([embeds, item_token])
        if not len(embeds):  # as HLLM.item_states: nothing to read, and no state
            return adapter(torch.zeros(folder.config.item_size))
        states = llm.extend(None, embeds)[1]
        return adapter(states[-1] if by_token else states.mean(0))

    return encode


def load_item_half(source: ModelFolder | str | Path) -> HLLM:
    """What encodes items on a GPU, in bfloat16; it is on the CPU until it is moved.

    Args:
        source: a trained or converted HLLM.

    Raises:
        CheckpointError: weights are missing or damaged.
    """
    folder = ModelFolder.of(source)
    item_llm = load_item_llm(folder)
    to_bfloat16(item_llm)
    return _item_half(folder, item_llm)


def _item_half(folder: ModelFolder, item_llm: PreTrainedModel) -> HLLM:
    """A model around a loaded Item LLM that can only encode items: its User LLM has one layer."""
    config = copy.deepcopy(folder.config)
    config.user_config = without_vocabulary(config.user_config)
    config.user_config.num_hidden_layers = 1
    with no_init_weights():  # or the loaded weights would become random ones
        model = HLLM(config, item_llm)
    model.item_emb_tokens.data = _token(folder).unsqueeze(0).to(item_llm.device, item_llm.dtype)
    _fill_adapter(model.item_adapter, folder)
    model.item_adapter.to(item_llm.device, item_llm.dtype)
    return model.eval()


def _token(folder: ModelFolder) -> Tensor:
    """The [ITEM] token (1, H) float32."""
    token = dict(folder.tensors(_TOKEN)).get(_TOKEN)
    if token is None or token.shape != (1, 1, folder.config.item_size):
        raise CheckpointError(f"{folder} lacks {_TOKEN}: restore its weights or train again.")
    return token[0].float()


@torch.no_grad()
def _fill_adapter(adapter: nn.Module, folder: ModelFolder) -> None:
    stored = {name.removeprefix(_ADAPTER): v for name, v in folder.tensors(_ADAPTER)}
    try:
        adapter.load_state_dict(stored)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder}: the adapter does not fit config.json: restore both from one training."
        ) from error
