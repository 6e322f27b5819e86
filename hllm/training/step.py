"""One training step: unique items are encoded once, then histories, then the loss."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from hllm.baselines.id_models import SequentialModel
from hllm.click_head import ClickHead, click_loss
from hllm.model import HLLM
from hllm.text import token_batches
from hllm.training.batches import TrainBatch
from hllm.training.fsdp import most_calls
from hllm.training.loss import clamp_logit_scale, contrastive_logits, contrastive_stats, info_nce
from hllm.training.top_layers import TopLayers

Result = TypeVar("Result")


class _Embedded(NamedTuple):
    """A batch's items as embeddings.

    Attributes:
        histories: (B, S, D) what the user model reads.
        targets: (B, S, D) what came next.
        negatives: (M, D) or (P, M, D), see TrainBatch.
        num_items: different items that were encoded.
    """

    histories: Tensor
    targets: Tensor
    negatives: Tensor
    num_items: int


class GenerativeStep(nn.Module, ABC):
    """A model with its generative objective (Paper: 2409.12740 section 3.3).

    Args:
        model: with a parameter logit_scale.
        dropout: on the item embeddings that the user model reads, in training.
        reference_compatible: average the ranks' mean losses as the reference does, instead of
            weighting every position of the global batch equally.
    """

    def __init__(
        self,
        model: HLLM | SequentialModel,
        *,
        dropout: float = 0.0,
        reference_compatible: bool = False,
    ) -> None:
        super().__init__()
        self.model = model
        self.dropout = nn.Dropout(dropout)
        self._reference_compatible = reference_compatible

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
        states = self.encode_users(self.dropout(embedded.histories), batch.mask.sum(dim=1))
        return self._generative(batch, embedded, states, with_stats=with_stats)

    def _embed(self, batch: TrainBatch) -> "_Embedded":
        wanted = torch.cat([batch.items.flatten(), batch.negatives.flatten()])
        unique, inverse = torch.unique(wanted, return_inverse=True)
        embeddings = self.item_embeddings(unique)  # (N, D)
        items = inverse[: batch.items.numel()].view_as(batch.items)  # rows of embeddings
        negatives = inverse[batch.items.numel() :].view_as(batch.negatives)
        return _Embedded(
            embeddings[items[:, :-1]], embeddings[items[:, 1:]], embeddings[negatives], len(unique)
        )

    def _generative(
        self, batch: TrainBatch, embedded: "_Embedded", states: Tensor, *, with_stats: bool
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss and statistics of the histories' states (B, S, D)."""
        mask = batch.mask
        logits = self._logits(states[mask], embedded.targets[mask], embedded.negatives)
        loss = self._loss(logits)
        stats = {"unique_items": float(embedded.num_items), "positions": float(len(logits))}
        if with_stats:
            stats |= contrastive_stats(logits) | {"negatives": float(logits.shape[1] - 1)}
        return loss, stats

    def _logits(self, user: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        """Logits (P, 1 + M); negatives are shared (M, D), or each position's own (P, M, D)."""
        # At 1 / temperature up to 100, bfloat16 cosines would be too coarse for a softmax.
        with torch.autocast(user.device.type, enabled=False):
            user, positives, negatives = user.float(), positives.float(), negatives.float()
            scale = self.model.logit_scale
            if negatives.ndim == 2:
                return contrastive_logits(user, positives, gather_with_gradient(negatives), scale)
            by_position = torch.vmap(contrastive_logits, in_dims=(0, 0, 0, None))
            one = slice(None), None  # (P, D) -> (P, 1, D)
            return by_position(user[one], positives[one], negatives, scale).squeeze(1)

    def _loss(self, logits: Tensor) -> Tensor:
        if self._reference_compatible:
            return info_nce(logits)
        count = torch.tensor(float(len(logits)), device=logits.device)
        return info_nce(logits, num_positions=_mean_over_ranks(count))


class TrainStep(GenerativeStep):
    """HLLM's step.

    Args:
        model: the HLLM.
        token_ids: text token ids by item index (0 = padding item).
        states: (num_items, H) cached states of a frozen Item LLM, or None to run it.
        top: the Item LLM's last layers, or None to run all of them.
        dropout: see GenerativeStep.
        reference_compatible: see GenerativeStep.
    """

    model: HLLM

    def __init__(
        self,
        model: HLLM,
        token_ids: Sequence[Sequence[int]],
        states: Tensor | None = None,
        *,
        top: TopLayers | None = None,
        dropout: float = 0.0,
        reference_compatible: bool = False,
    ) -> None:
        super().__init__(model, dropout=dropout, reference_compatible=reference_compatible)
        self._token_ids = token_ids
        self._states = states
        self._top = top

    def item_embeddings(self, items: Tensor) -> Tensor:
        """Embeddings (N, D) of items given by index: (N,)."""
        if self._states is not None:
            states = self._states[items.cpu()].to(self.model.item_emb_tokens.device)
            return self.model.item_adapter(states)
        numbers = items.tolist()
        # Of similar length: little padding.
        batches = list(token_batches([self._token_ids[item] for item in numbers]))
        order = torch.tensor([row for rows in batches for row in rows], device=items.device)
        # One item again and again where another process has more batches; nobody reads it.
        batches += [batches[0][:1]] * (most_calls(self, len(batches)) - len(batches))
        parts = [self._encode([numbers[row] for row in rows]) for rows in batches]
        return torch.cat(parts)[order.argsort()]

    def _encode(self, items: list[int]) -> Tensor:
        if self._top is not None:
            return self._top.encode_items(items)
        return self.model.encode_items([self._token_ids[item] for item in items])

    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """See GenerativeStep.encode_users; RoPE is relative, so lengths play no part."""
        return self.model.encode_users(histories).last_hidden_state


class DiscriminativeStep(TrainStep):
    """The step of the discriminative variants: clicks, and the generative loss as an auxiliary one.

    Args:
        model: an HLLM with a click_head.
        token_ids: see TrainStep.
        states: see TrainStep.
        num_candidates: negatives of the click loss at every position, taken from the batch's.
        auxiliary_weight: of the generative loss.
        top: see TrainStep.
        dropout: see GenerativeStep.
        reference_compatible: see GenerativeStep.
    """

    def __init__(
        self,
        model: HLLM,
        token_ids: Sequence[Sequence[int]],
        states: Tensor | None = None,
        *,
        num_candidates: int,
        auxiliary_weight: float,
        top: TopLayers | None = None,
        dropout: float = 0.0,
        reference_compatible: bool = False,
    ) -> None:
        super().__init__(
            model,
            token_ids,
            states,
            top=top,
            dropout=dropout,
            reference_compatible=reference_compatible,
        )
        self._num_candidates = num_candidates
        self._auxiliary_weight = auxiliary_weight

    def forward(
        self, batch: TrainBatch, *, with_stats: bool = False
    ) -> tuple[Tensor, dict[str, float]]:
        """See GenerativeStep.forward."""
        clamp_logit_scale(self.model.logit_scale)
        embedded = self._embed(batch)
        targets = batch.items[:, 1:]
        # Every position its own negatives, in turn, without encoding more items.
        rows = torch.arange(targets.numel() * self._num_candidates, device=targets.device)
        rows = (rows % len(batch.negatives)).view(*targets.shape, -1)  # (B, S, K)
        is_new = batch.negatives[rows] != targets.unsqueeze(-1)
        counted = torch.cat([torch.ones_like(is_new[..., :1]), is_new], dim=2)
        counted = counted & batch.mask.unsqueeze(-1)  # (B, S, 1 + K)
        candidates = torch.cat([embedded.targets.unsqueeze(2), embedded.negatives[rows]], dim=2)
        prefixes = torch.arange(1, targets.shape[1] + 1, device=targets.device).expand_as(targets)
        head: ClickHead = self.model.click_head  # type: ignore[assignment]
        histories = self.dropout(embedded.histories)
        logits, states = head(self.model.user_llm, histories, prefixes, candidates)
        auxiliary, stats = self._generative(batch, embedded, states, with_stats=with_stats)
        count = counted.sum().float()
        if not self._reference_compatible:
            count = _mean_over_ranks(count)
        clicks = click_loss(logits, counted) / count.clamp_min(1)
        if with_stats:
            stats |= {"click_loss": clicks.item(), "generative_loss": auxiliary.item()}
        return clicks + self._auxiliary_weight * auxiliary, stats


class SequentialStep(GenerativeStep):
    """An ID model's step."""

    model: SequentialModel

    def item_embeddings(self, items: Tensor) -> Tensor:
        """Embeddings (N, D) of items given by index: (N,)."""
        return self.model.item_embeddings(items)

    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """See GenerativeStep.encode_users."""
        return self.model.encode_users(histories, lengths)


def _mean_over_ranks(count: Tensor) -> Tensor:
    """A count () averaged over the ranks.

    Gradients are averaged over ranks: a sum divided by this weighs every term of the global batch
    the same however the ranks' histories differ in length.
    """
    if not dist.is_initialized():
        return count
    dist.all_reduce(count)
    return count / dist.get_world_size()


def gather_with_gradient(negatives: Tensor) -> Tensor:
    """Share negatives (M, D) of all ranks: (world * M, D); gradients flow back to their owners."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return negatives
    return torch.cat(all_gather(negatives))
