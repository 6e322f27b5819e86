"""Tuning only the last layers of an Item LLM: what the layers below give is computed once.

N items, T text tokens (longest of a batch, [ITEM] token included), H width of the Item LLM.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from hllm.errors import DataError
from hllm.model import HLLM
from hllm.text import token_batches


class TopLayers:
    """The last layers of an HLLM's Item LLM behind cached states of those below.

    The layers are the model's own: training them here trains the model. Freezes all below them and
    the [ITEM] token, and caches H float32 numbers per token of the catalogue.

    Args:
        model: on its device, in eval mode.
        token_ids: of every item, see hllm.text.tokenize.
        num_layers: how many layers are tuned.
        progress: whether to show a progress bar.

    Raises:
        DataError: the Item LLM has no more layers than that.
    """

    def __init__(
        self,
        model: HLLM,
        token_ids: Sequence[Sequence[int]],
        num_layers: int,
        *,
        progress: bool = True,
    ) -> None:
        name, layers = _layers(model.item_llm)
        if not 0 < num_layers < len(layers):
            raise DataError(
                f"--item_tuned_layers {num_layers}: the Item LLM has {len(layers)} layers; choose "
                f"1 to {len(layers) - 1}, or --item_training full."
            )
        below, tuned = layers[:-num_layers], layers[-num_layers:]
        # A change below the tuned layers would make the cached states wrong: all of it is frozen.
        model.item_llm.requires_grad_(False)
        model.item_emb_tokens.requires_grad_(False)
        tuned.requires_grad_(True)
        # A decoder has a norm behind its last layer, so that it can be tuned, too.
        norm = getattr(model.item_llm, "norm", None)
        if isinstance(norm, nn.Module):
            norm.requires_grad_(True)
        self._token_ids = token_ids
        self._replay = _Replay()
        # The view shares all else with the model, so that the tuned layers get the masks and
        # positions that they get in the whole model.
        self._model = _with_layers(model, f"item_llm.{name}", nn.ModuleList([self._replay, *tuned]))
        self._states = _states_behind(model, below[-1], token_ids, progress=progress)

    def encode_items(self, items: Sequence[int]) -> Tensor:
        """Item embeddings (N, D) of items of similar length, given by row."""
        states = [self._states[item] for item in items]
        device = self._model.item_emb_tokens.device
        self._replay.states = nn.utils.rnn.pad_sequence(states, batch_first=True).to(device)
        return self._model.encode_items([self._token_ids[item] for item in items])


class _Replay(nn.Module):
    """Stands for the layers below."""

    states: Tensor  # (N, T, H)

    def forward(self, hidden_states: Tensor, *arguments: Any, **options: Any) -> Tensor:
        """What the layers below gave for this batch, whatever comes in."""
        return self.states


def _layers(language_model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Name and value of the list of a transformers model's layers."""
    count = language_model.config.num_hidden_layers  # type: ignore[union-attr]
    for name, module in language_model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise DataError("--item_training top: the Item LLM is not a stack of layers; use lora or full.")


def _with_layers(model: Any, path: str, layers: nn.ModuleList) -> Any:
    """A model that shares everything with another one but the list of layers at a path."""
    view = copy.copy(model)
    view._modules = dict(model._modules)  # else the original would lose its layers, too
    name, _, rest = path.partition(".")
    view._modules[name] = _with_layers(view._modules[name], rest, layers) if rest else layers
    return view


@torch.no_grad()  # not inference mode: a backward pass will go through layers that read them
def _states_behind(
    model: HLLM, layer: nn.Module, token_ids: Sequence[Sequence[int]], *, progress: bool
) -> list[Tensor]:
    """States (T, H) of every item behind one of the layers, on the CPU."""
    caught: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: caught.append(output))
    by_token = int(model.config.item_pooling == "item_token")
    found: list[Tensor] = [torch.empty(0)] * len(token_ids)
    with tqdm(
        total=len(token_ids), unit=" items", desc="lower layers", disable=not progress
    ) as bar:
        for rows in token_batches(token_ids):
            # For the hook only; layers behind the caught one run in vain.
            model.item_states([token_ids[row] for row in rows])
            states = caught.pop().float().cpu()
            for row, item in zip(rows, states, strict=True):
                # A clone without padding: a view would keep the padded batch in memory. The model
                # gives an empty text one column, too.
                found[row] = item[: max(1, len(token_ids[row]) + by_token)].clone()
            bar.update(len(rows))
    hook.remove()
    return found
