"""How a training run gets item embeddings: which part of the Item LLM it trains, and what it runs.

One class per way. A new way of training the Item LLM is one more class, chosen in
make_item_encoder; the training step and the trainee know no difference between them.

N items, H width of the Item LLM, D width of an item embedding.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hllm.checkpoint import load_model
from hllm.embed import cached_batches, encode_catalog
from hllm.embedder import encode_all
from hllm.model import HLLM, ItemAdapter
from hllm.model_folder import ModelFolder
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import text_hash, token_batches, tokenize
from hllm.training.fsdp import most_calls
from hllm.training.options import ModelOptions
from hllm.training.top_layers import TopLayers


@dataclass(frozen=True)
class ItemTexts:
    """The items of the catalogue, by item index (0 = padding).

    Attributes:
        item_ids: one per item; those that nobody has touched come last.
        texts: what the Item LLM reads, see hllm.text.item_text.
        tokenizer: the Item LLM's.
        num_trained: items of the interactions, padding included: what training draws from.
    """

    item_ids: list[str]
    texts: Sequence[str]
    tokenizer: PreTrainedTokenizerBase
    num_trained: int


class TrainedItemEncoder(ABC):
    """Item embeddings of a model in training.

    Making one also decides which parameters of the item side are trained: the optimiser is made
    from those that require a gradient afterwards.

    Attributes:
        model: the HLLM whose items it embeds.
    """

    def __init__(self, model: HLLM) -> None:
        self.model = model
        if model.config.item_pooling == "mean":
            # A mean has no use for the [ITEM] token, and data-parallel training fails over a
            # trained parameter that gets no gradient.
            model.item_emb_tokens.requires_grad_(False)

    @abstractmethod
    def embed(self, items: Tensor) -> Tensor:
        """Embeddings (N, D) of items given by index (N,), with gradients to what is trained."""

    @torch.inference_mode()
    def embed_all(self, texts: ItemTexts) -> Tensor:
        """Embeddings (N, D) of all items as the model is now: float32 on the CPU."""
        return self.embed(torch.arange(len(texts.texts))).float().cpu()

    def save_embeddings(self, folder: Path, texts: ItemTexts) -> None:  # noqa: B027  most have none
        """Write what is known of the best model's embeddings without running its Item LLM."""


class FrozenItems(TrainedItemEncoder):
    """The Item LLM is not trained: its states are computed once, a step runs the adapter only.

    Args:
        model: the HLLM.
        states: (num_items, H) the Item LLM's states, on the CPU.
    """

    def __init__(self, model: HLLM, states: Tensor) -> None:
        super().__init__(model)
        model.item_llm.requires_grad_(False)
        model.item_emb_tokens.requires_grad_(False)
        self._states = states

    def embed(self, items: Tensor) -> Tensor:
        """See TrainedItemEncoder.embed."""
        # The states of a large catalogue may not fit a GPU: only what a step needs goes there.
        states = self._states[items.cpu()].to(self.model.item_emb_tokens.device)
        return self.model.item_adapter(states)

    @torch.inference_mode()
    def save_embeddings(self, folder: Path, texts: ItemTexts) -> None:
        """See TrainedItemEncoder.save_embeddings."""
        # The model in memory is the last one; the folder holds the best one.
        best, _ = load_model(folder)
        vectors = best.item_adapter(self._states)[1:].half()
        hashes = [text_hash(text) for text in texts.texts[1:]]
        stored = ItemEmbeddings(
            texts.item_ids[1:], hashes, vectors, ModelFolder(folder).fingerprint
        )
        stored.save(folder / EMBEDDINGS)


class _BatchedItems(TrainedItemEncoder):
    """Runs layers of the Item LLM at every step, over batches of texts of similar length."""

    def __init__(self, model: HLLM, token_ids: Sequence[Sequence[int]]) -> None:
        super().__init__(model)
        self._token_ids = token_ids

    def embed(self, items: Tensor) -> Tensor:
        """See TrainedItemEncoder.embed."""
        numbers = items.tolist()
        batches = list(token_batches([self._token_ids[item] for item in numbers]))
        order = torch.tensor([row for rows in batches for row in rows], device=items.device)
        # If the Item LLM is sharded, its layers wait for all processes. A process with fewer
        # batches than another one encodes its first item again, and `order` leaves that out.
        batches += [batches[0][:1]] * (most_calls(self.model.item_llm, len(batches)) - len(batches))
        parts = [self._embed_batch([numbers[row] for row in rows]) for rows in batches]
        return torch.cat(parts)[order.argsort()]

    @abstractmethod
    def _embed_batch(self, items: list[int]) -> Tensor:
        """Embeddings (N, D) of items of similar length, given by index."""


class TopItems(_BatchedItems):
    """Only the Item LLM's last layers are trained; states of those below are computed once.

    Args:
        model: the HLLM, on its device, in eval mode.
        token_ids: text token ids by item index.
        num_layers: how many layers are trained.

    Raises:
        DataError: the Item LLM has no more layers than that.
    """

    def __init__(self, model: HLLM, token_ids: Sequence[Sequence[int]], num_layers: int) -> None:
        super().__init__(model, token_ids)
        self._top = TopLayers(model, token_ids, num_layers)

    def _embed_batch(self, items: list[int]) -> Tensor:
        return self._top.encode_items(items)


class WholeItems(_BatchedItems):
    """The whole Item LLM runs, and what the model leaves trainable is trained.

    That is everything, or LoRA matrices over a base that the model has frozen itself.

    Args:
        model: the HLLM.
        token_ids: text token ids by item index.
    """

    def _embed_batch(self, items: list[int]) -> Tensor:
        return self.model.encode_items([self._token_ids[item] for item in items])

    def embed_all(self, texts: ItemTexts) -> Tensor:
        """See TrainedItemEncoder.embed_all."""
        # Nothing is cached: equal texts are encoded once, which a step does not look for.
        return encode_catalog(self.model, texts.tokenizer, texts.texts, progress=False)


def make_item_encoder(
    model: HLLM,
    texts: ItemTexts,
    options: ModelOptions,
    device: torch.device,
    *,
    fit_adapter: bool,
    exact: bool = False,
) -> TrainedItemEncoder:
    """The encoder that --item_training asks for.

    Args:
        model: the HLLM with its initial weights.
        texts: of all items.
        options: item_training, item_tuned_layers.
        device: where the model will compute.
        fit_adapter: fit the whitening of an mlp adapter to the Item LLM's initial states.
        exact: see hllm.embed.cached_batches.

    Raises:
        DataError: no such number of layers can be trained.
    """
    is_frozen, adapter = options.item_training == "frozen", model.item_adapter
    whiten = fit_adapter and isinstance(adapter, ItemAdapter)
    states = torch.empty(0)
    if is_frozen or whiten:
        states = _item_states(model, texts, device, exact=exact)
    if whiten and isinstance(adapter, ItemAdapter):
        # Fitted on what users have touched: padding has no text, and the rest is not read.
        known = states[1 : texts.num_trained].to(device)
        adapter.fit_whitening(known)
        if options.item_embedding_rms:
            adapter.scale_output(known, options.item_embedding_rms)
    if is_frozen:
        return FrozenItems(model, states)
    token_ids = tokenize(texts.tokenizer, texts.texts, model.config.max_text_tokens)
    if options.item_training == "top":
        model.to(device).eval()  # type: ignore[arg-type]
        return TopItems(model, token_ids, options.item_tuned_layers)
    return WholeItems(model, token_ids)


def _item_states(model: HLLM, texts: ItemTexts, device: torch.device, *, exact: bool) -> Tensor:
    """The Item LLM's states (N, H) of all items, on the CPU; those of an earlier run if it can."""
    model.to(device).eval()  # type: ignore[arg-type]
    encode = partial(cached_batches, model, texts.tokenizer, adapt=False, exact=exact)
    states = encode_all(encode, texts.texts)
    model.train()
    return states
