"""What a training step optimises: the generative loss alone, or with the loss of clicks.

B users, S history items, D width, M negatives, P positions (all users' valid ones), K click
candidates beside the target.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import NamedTuple, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from hllm.baselines.id_models import IDModel
from hllm.click_head import ClickHead, click_loss
from hllm.model import HLLM
from hllm.training.batches import TrainBatch
from hllm.training.loss import contrastive_logits, contrastive_stats, info_nce

LossAndStats = tuple[Tensor, dict[str, float]]


class EmbeddedBatch(NamedTuple):
    """A batch's items as embeddings.

    Attributes:
        histories: (B, S, D) what the user model reads.
        targets: (B, S, D) what came next.
        negatives: (M, D) or (P, M, D), see TrainBatch.
        num_items: number of different items that were encoded.
    """

    histories: Tensor
    targets: Tensor
    negatives: Tensor
    num_items: int


class UserEncoder(Protocol):
    """What an objective needs of a training step."""

    @property
    def model(self) -> HLLM | IDModel:
        """With a parameter logit_scale."""

    def encode_users(self, histories: Tensor, lengths: Tensor) -> Tensor:
        """States (B, S, D) of histories (B, S, D), padded on the right, of lengths (B,)."""


class Objective(ABC):
    """A loss of one batch.

    Args:
        reference_compatible: average the processes' mean losses as the reference does, instead of
            weighting every position of the global batch equally.
    """

    def __init__(self, *, reference_compatible: bool = False) -> None:
        self.reference_compatible = reference_compatible

    @abstractmethod
    def loss(
        self, users: UserEncoder, batch: TrainBatch, embedded: EmbeddedBatch, *, with_stats: bool
    ) -> LossAndStats:
        """Loss () of one batch, and what to log.

        Args:
            users: the step in training.
            batch: the data of this process.
            embedded: the same as embeddings, after dropout.
            with_stats: also compute what takes time and is only logged.
        """


class GenerativeObjective(Objective):
    """Predict the next item's embedding among sampled ones (Paper: 2409.12740 section 3.3)."""

    def loss(
        self, users: UserEncoder, batch: TrainBatch, embedded: EmbeddedBatch, *, with_stats: bool
    ) -> LossAndStats:
        """See Objective.loss."""
        states = users.encode_users(embedded.histories, batch.mask.sum(dim=1))
        cosine = not isinstance(users.model, IDModel) or users.model.config.cosine
        return self.loss_of_states(
            states, users.model.logit_scale, batch, embedded, with_stats=with_stats, cosine=cosine
        )

    def loss_of_states(
        self,
        states: Tensor,
        logit_scale: Tensor,
        batch: TrainBatch,
        embedded: EmbeddedBatch,
        *,
        with_stats: bool,
        cosine: bool = True,
    ) -> LossAndStats:
        """The same for states (B, S, D) that exist already."""
        mask = batch.mask  # (B, S)
        logits = _logits(
            states[mask], embedded.targets[mask], embedded.negatives, logit_scale, cosine=cosine
        )
        stats = {"unique_items": float(embedded.num_items), "positions": float(len(logits))}
        if with_stats:
            stats |= contrastive_stats(logits) | {"negatives": float(logits.shape[1] - 1)}
        if self.reference_compatible:
            return info_nce(logits), stats
        count = torch.tensor(float(len(logits)), device=logits.device)
        return info_nce(logits, num_positions=_mean_over_processes(count)), stats


class ClickObjective(Objective):
    """Clicks of the discriminative variants, with the generative loss as an auxiliary one.

    Args:
        num_candidates: K, taken from the negatives that all positions of a batch share.
        auxiliary_weight: of the generative loss.
        reference_compatible: see Objective.
    """

    def __init__(
        self, *, num_candidates: int, auxiliary_weight: float, reference_compatible: bool = False
    ) -> None:
        super().__init__(reference_compatible=reference_compatible)
        self._num_candidates = num_candidates
        self._auxiliary_weight = auxiliary_weight
        self._generative = GenerativeObjective(reference_compatible=reference_compatible)

    def loss(
        self, users: UserEncoder, batch: TrainBatch, embedded: EmbeddedBatch, *, with_stats: bool
    ) -> LossAndStats:
        """See Objective.loss; the model needs a click_head."""
        model: HLLM = users.model  # type: ignore[assignment]
        head: ClickHead = model.click_head  # type: ignore[assignment]
        negatives, counted = self._candidates(batch)
        candidates = torch.cat(
            [embedded.targets.unsqueeze(2), embedded.negatives[negatives]], dim=2
        )  # (B, S, 1 + K, D)
        targets = batch.items[:, 1:]
        prefixes = torch.arange(1, targets.shape[1] + 1, device=targets.device).expand_as(targets)
        # One pass gives both losses: candidates do not change the states of the history.
        logits, states = head(model.user_llm, embedded.histories, prefixes, candidates)
        generative, stats = self._generative.loss_of_states(
            states, model.logit_scale, batch, embedded, with_stats=with_stats
        )
        # As in the generative loss: the reference averages each process by itself.
        count = counted.sum().float()
        if not self.reference_compatible:
            count = _mean_over_processes(count)
        clicks = click_loss(logits, counted) / count.clamp_min(1)
        if with_stats:
            stats |= {"click_loss": clicks.item(), "generative_loss": generative.item()}
        return clicks + self._auxiliary_weight * generative, stats

    def _candidates(self, batch: TrainBatch) -> tuple[Tensor, Tensor]:
        """Negatives of every position, and which candidates count.

        Returns:
            (B, S, K) rows of the batch's negatives. (B, S, 1 + K) True where a candidate is part of
            the loss; column 0 is the target.
        """
        targets = batch.items[:, 1:]
        # The positions take the shared negatives in turn: no further item has to be encoded.
        rows = torch.arange(targets.numel() * self._num_candidates, device=targets.device)
        rows = (rows % len(batch.negatives)).view(*targets.shape, -1)  # (B, S, K)
        # Drawn at random, a negative can be the very item that was clicked.
        is_new = batch.negatives[rows] != targets.unsqueeze(-1)
        counted = torch.cat([torch.ones_like(is_new[..., :1]), is_new], dim=2)
        return rows, counted & batch.mask.unsqueeze(-1)


def _logits(
    user: Tensor, positives: Tensor, negatives: Tensor, logit_scale: Tensor, *, cosine: bool
) -> Tensor:
    """Logits (P, 1 + M); negatives are shared (M, D) or each position's own (P, M, D)."""
    # At 1 / temperature up to 100, bfloat16 cosines would be too coarse for a softmax.
    with torch.autocast(user.device.type, enabled=False):
        user, positives, negatives = user.float(), positives.float(), negatives.float()
        if negatives.ndim == 2:
            # Every process scores against the negatives of all.
            negatives = gather_with_gradient(negatives)
            return contrastive_logits(user, positives, negatives, logit_scale, cosine=cosine)
        # contrastive_logits for one position at a time, without a second version of it.
        logits = partial(contrastive_logits, cosine=cosine)
        by_position = torch.vmap(logits, in_dims=(0, 0, 0, None))
        one = slice(None), None  # (P, D) -> (P, 1, D)
        return by_position(user[one], positives[one], negatives, logit_scale).squeeze(1)


def _mean_over_processes(count: Tensor) -> Tensor:
    """A count () averaged over the processes."""
    # Gradients are averaged over processes. A sum divided by this mean weighs every term of the
    # global batch the same, however the lengths of the processes' histories differ.
    if not dist.is_initialized():
        return count
    dist.all_reduce(count)
    return count / dist.get_world_size()


def gather_with_gradient(negatives: Tensor) -> Tensor:
    """Share negatives (M, D) of all processes: (world * M, D); gradients flow to their owners."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return negatives
    # dist.all_gather would cut off the gradients of the other processes' negatives.
    return torch.cat(all_gather(negatives))
