"""One training step: unique items are encoded once, then histories, then the loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from hllm.baselines.id_models import IDModel
from hllm.model import HLLM
from hllm.training.batches import TrainBatch
from hllm.training.item_encoder import TrainedItemEncoder
from hllm.training.loss import clamp_logit_scale
from hllm.training.objective import EmbeddedBatch, GenerativeObjective, Objective

Result = TypeVar("Result")


class Step(nn.Module, ABC):
    """A model with its objective, as the module that is optimised.

    Args:
        model: with a parameter logit_scale.
        objective: None: the generative one.
        dropout: on the item embeddings that the user model reads, in training.
    """

    def __init__(
        self,
        model: HLLM | IDModel,
        objective: Objective | None = None,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.dropout = nn.Dropout(dropout)
        self._objective = objective or GenerativeObjective()

    def call(self, work: Callable[[], Result]) -> Result:
        """Do work as a forward pass of this module, see hllm.training.fsdp.call_gathered."""
        return work()

    @abstractmethod
    def item_embeddings(self, items: Tensor) -> Tensor:
        """Embeddings (N, D) of items given by index: (N,)."""

    @abstractmethod
    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """States (B, S, D) of histories (B, S, D), padded on the right, of lengths (B,)."""

    def forward(
        self, batch: TrainBatch, *, with_stats: bool = False
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss of one batch.

        Args:
            batch: the data of this process.
            with_stats: also compute hllm.training.loss.contrastive_stats.

        Returns:
            () loss, and what to log.
        """
        clamp_logit_scale(self.model.logit_scale)
        embedded = self._embed(batch)
        return self._objective.loss(self, batch, embedded, with_stats=with_stats)

    def _embed(self, batch: TrainBatch) -> EmbeddedBatch:
        wanted = torch.cat([batch.items.flatten(), batch.negatives.flatten()])
        # Popular items stand in many histories, and an Item LLM is slow: each is encoded once.
        unique, inverse = torch.unique(wanted, return_inverse=True)
        embeddings = self.item_embeddings(unique)  # (N, D)
        items = inverse[: batch.items.numel()].view_as(batch.items)  # rows of embeddings
        negatives = inverse[batch.items.numel() :].view_as(batch.negatives)
        return EmbeddedBatch(
            histories=self.dropout(embeddings[items[:, :-1]]),
            targets=embeddings[items[:, 1:]],
            negatives=embeddings[negatives],
            num_items=len(unique),
        )


class HLLMStep(Step):
    """HLLM's step.

    Args:
        items: how the model's items are embedded, and which part of the Item LLM is trained.
        objective: see Step.
        dropout: see Step.
    """

    model: HLLM

    def __init__(
        self,
        items: TrainedItemEncoder,
        objective: Objective | None = None,
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(items.model, objective, dropout=dropout)
        self._items = items

    def item_embeddings(self, items: Tensor) -> Tensor:
        """See Step.item_embeddings."""
        return self._items.embed(items)

    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """See Step.encode_users."""
        # Attention is causal and RoPE relative: padding on the right changes no state before it.
        return self.model.encode_users(histories).last_hidden_state


class IDModelStep(Step):
    """An ID model's step."""

    model: IDModel

    def item_embeddings(self, items: Tensor) -> Tensor:
        """See Step.item_embeddings."""
        return self.model.item_embeddings(items)

    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """See Step.encode_users."""
        # Learned positions count from the end of the window, so that the lengths matter.
        return self.model.encode_users(histories, lengths)
