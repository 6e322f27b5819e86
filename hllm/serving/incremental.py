"""A User LLM that reads on where a prefix ended: one interface, whatever computes it.

B histories, P items of a known prefix, S new items, D width, F numbers in keys and values of one
item.
"""

import inspect
from collections.abc import Sequence
from typing import Protocol, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, PretrainedConfig, PreTrainedModel
from transformers.cache_utils import DynamicLayer


class IncrementalModel(Protocol):
    """A User LLM that reads on where a prefix ended.

    Attributes:
        can_resume: whether it keeps a memory of one fixed size per item; if not, past is always
            None.
        can_batch: whether append works.
        rounds_activations: whether they are rounded to few bits: then the last digits, which depend
            on what is read beside a history, are now and then rounded up here and down there.
    """

    can_resume: bool
    can_batch: bool
    rounds_activations: bool

    def extend(self, past: Tensor | None, items: Tensor) -> tuple[Tensor, Tensor]:
        """Read items behind a prefix.

        Args:
            past: (P, F) what earlier calls returned for the items of the prefix; None: no prefix.
            items: (S, D) embeddings of the items that follow.

        Returns:
            (S, F) keys and values of the new items and (S, D) states at them, on any device.
        """
        ...

    def append(self, pasts: Sequence[Tensor], items: Tensor) -> tuple[Tensor, Tensor]:
        """Read one item behind each of several prefixes.

        Args:
            pasts: B times (P, F), each prefix of its own length, at least one item.
            items: (B, D) embedding of the item that follows each.

        Returns:
            (B, F) keys and values of the new items and (B, D) states at them, on any device.
        """
        ...

    def read(self, histories: Sequence[Tensor]) -> Tensor:
        """Read whole histories of which nothing is known or will be kept.

        Args:
            histories: B times (S, D), each of its own length, at least one item.

        Returns:
            (B, D) state at the end of each, on any device.
        """
        ...


class TransformersIncremental:
    """A decoder of transformers as IncrementalModel.

    Args:
        user_llm: reads embeddings, in evaluation mode.
        max_history: longest sequence it will read.
    """

    rounds_activations = False

    def __init__(self, user_llm: PreTrainedModel, max_history: int) -> None:
        self._user_llm = user_llm
        self._shapes: list[tuple[int, int]] = []  # (heads, width): keys and values, layer by layer
        self.can_resume = _keeps_every_token(user_llm.config, max_history)
        parameters = inspect.signature(user_llm.forward).parameters
        self.can_batch = self.can_resume and "position_ids" in parameters

    @torch.inference_mode()
    def extend(self, past: Tensor | None, items: Tensor) -> tuple[Tensor, Tensor]:
        """See IncrementalModel."""
        inputs = items.to(self._user_llm.device, self._user_llm.dtype).unsqueeze(0)
        if not self.can_resume:
            states = self._user_llm(inputs_embeds=inputs, use_cache=False).last_hidden_state[0]
            return states[:, :0], states  # no memory: (S, 0)
        cache = self._unpack(past)
        states = self._user_llm(
            inputs_embeds=inputs, past_key_values=cache, use_cache=True
        ).last_hidden_state[0]
        return self._pack(cache, len(items))[0], states

    @torch.inference_mode()
    def append(self, pasts: Sequence[Tensor], items: Tensor) -> tuple[Tensor, Tensor]:
        """See IncrementalModel."""
        model = self._user_llm
        lengths = torch.tensor([len(past) for past in pasts], device=model.device)
        # Padded on the left, all prefixes end in one column: the cache adds the new items there.
        past = pad_sequence(list(pasts), batch_first=True, padding_side="left").to(model.device)
        longest = past.shape[1]  # past: (B, P, F)
        columns = torch.arange(longest + 1, device=model.device)
        cache = self._unpack_batch(past)
        states = model(
            inputs_embeds=items.to(model.device, model.dtype).unsqueeze(1),
            attention_mask=(columns >= (longest - lengths).unsqueeze(1)).long(),
            position_ids=lengths.unsqueeze(1),  # padding does not count
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        return self._pack(cache, 1)[:, 0], states[:, 0]

    @torch.inference_mode()
    def read(self, histories: Sequence[Tensor]) -> Tensor:
        """See IncrementalModel."""
        model = self._user_llm
        # Attention is causal: padding behind an item cannot reach it.
        inputs = pad_sequence(list(histories), batch_first=True).to(model.device, model.dtype)
        states = model(inputs_embeds=inputs, use_cache=False).last_hidden_state
        last = torch.tensor([len(history) - 1 for history in histories], device=model.device)
        return states[torch.arange(len(histories), device=model.device), last]

    def _pack(self, cache: DynamicCache, count: int) -> Tensor:
        """Keys and values of each history's last items: (B, S, F)."""
        layers = [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]
        # Tensors, not None: every layer was just written to.
        pairs = [cast(Tensor, t) for layer in layers for t in (layer.keys, layer.values)]
        # Remembered for _unpack, which cannot tell heads from widths by F alone.
        self._shapes = [(tensor.shape[1], tensor.shape[3]) for tensor in pairs]
        # (B, heads, P + S, width) -> (B, S, heads * width)
        new = [tensor[:, :, -count:].transpose(1, 2).flatten(2) for tensor in pairs]
        return torch.cat(new, dim=2)

    def _unpack(self, past: Tensor | None) -> DynamicCache:
        return DynamicCache() if past is None else self._unpack_batch(past.unsqueeze(0))

    def _unpack_batch(self, past: Tensor) -> DynamicCache:
        """Packed keys and values (B, P, F) as a cache of transformers."""
        parts = past.split([heads * width for heads, width in self._shapes], dim=2)
        tensors = [
            part.unflatten(2, shape).transpose(1, 2)  # (B, heads, P, width)
            for part, shape in zip(parts, self._shapes, strict=True)
        ]
        return DynamicCache(list(zip(tensors[::2], tensors[1::2], strict=True)))


def _keeps_every_token(config: PretrainedConfig, max_history: int) -> bool:
    """Whether a decoder's memory is one key and value per layer and item."""
    if getattr(config, "num_kv_shared_layers", 0):  # such layers keep no keys of their own
        return False
    # Other kinds of layers (linear attention) keep a state of all items. A sliding window forgets
    # items unless it is longer than every history.
    return all(
        isinstance(layer, DynamicLayer)
        and getattr(layer, "sliding_window", max_history + 1) > max_history
        for layer in DynamicCache(config=config).layers
    )
