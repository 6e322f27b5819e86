"""Full ranking: every case's target among all items of the catalogue, for any model.

Rules, the same for every model. Candidates are all items of the catalogue, as the page ranks them:
those of the interactions and those that only items.csv names, which nobody has touched. Left out
are padding and the whole, untruncated history (the seen-item rule). A target that its user has
interacted with before stays a candidate. Ties are decided by one fixed random permutation of the
catalogue (hllm.evaluation.metrics). An ID model knows nothing of an item that nobody has touched,
which is never a target either: it ranks them last, so that every model has as many candidates.

Differs from reference: there the items of the interactions alone are candidates, and a target that
repeats an item of the history is masked with it, so that nobody can find it. Commands do both with
--reference_compatible. Ties there fall as torch.topk lets them.
"""

import warnings
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hllm.data import EvalCase
from hllm.errors import CheckpointError
from hllm.evaluation.metrics import target_ranks, top_items

TIE_SEED = 0


class Scorer(Protocol):
    """A model that scores the whole catalogue for histories."""

    name: str

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Score all items.

        Args:
            histories: B arrays of item indices, oldest first, untruncated.

        Returns:
            (B, num_items) float32 on any device, higher is better; column 0 is padding.
        """
        ...


@runtime_checkable
class CandidateScorer(Protocol):
    """A model that scores given items better than it scores the whole catalogue."""

    def score_candidates(self, histories: Sequence[np.ndarray], candidates: Tensor) -> Tensor:
        """Score candidates (B, C), item indices: (B, C) float32, higher is better."""
        ...


def tie_permutation(num_items: int) -> Tensor:
    """(num_items,) the fixed order that decides between items of equal score."""
    return torch.from_numpy(np.random.default_rng(TIE_SEED).permutation(num_items))


@torch.inference_mode()
def mask_seen(
    scores: Tensor, cases: Sequence[EvalCase], *, reference_compatible: bool = False
) -> Tensor:
    """Set what is not a candidate to -inf: padding and the history.

    Args:
        scores: (B, num_items); left as it is.
        cases: B cases.
        reference_compatible: mask a target that is in the history, too.

    Returns:
        (B, num_items) float32.
    """
    scores = scores.float().clone()
    rows = np.repeat(np.arange(len(cases)), [len(case.history) for case in cases])
    seen = np.concatenate([case.history for case in cases])
    targets = np.array([case.target for case in cases])
    if not reference_compatible:
        kept = seen != targets[rows]
        rows, seen = rows[kept], seen[kept]
    scores[torch.from_numpy(rows), torch.from_numpy(seen)] = float("-inf")
    scores[:, 0] = float("-inf")
    return scores


@torch.inference_mode()
def rank_cases(
    scorer: Scorer,
    cases: Sequence[EvalCase],
    *,
    batch_size: int = 256,
    reference_compatible: bool = False,
    progress: bool = True,
    lists: np.ndarray | None = None,
) -> np.ndarray:
    """Rank every case's target among all candidates.

    Args:
        scorer: the model.
        cases: from hllm.data.eval_cases.
        batch_size: cases scored at once; memory is batch_size * num_items * 4 bytes, a few times.
        reference_compatible: count a target that is in its own history as a miss.
        progress: whether to show a progress bar with rate and time left.
        lists: (num_cases, k) integers; filled with every case's k best candidates, best first, and
            0 where there are fewer.

    Returns:
        (num_cases,) float64 ranks, 1-based, in the order of the cases; inf for a miss.

    Raises:
        CheckpointError: a score is NaN or infinite.
    """
    # Cases of similar length share a batch: less padding for models that read sequences.
    order = np.argsort([len(case.history) for case in cases], kind="stable")
    ranks = np.full(len(cases), np.inf)
    tie_order = None
    with tqdm(total=len(cases), unit=" users", desc=scorer.name, disable=not progress) as bar:
        for start in range(0, len(cases), batch_size):
            rows = order[start : start + batch_size]
            batch = [cases[row] for row in rows]
            scores = scorer.score([case.history for case in batch])
            _check_finite(scores[:, 1:], scorer)
            if tie_order is None:
                tie_order = tie_permutation(scores.shape[1]).to(scores.device)
            masked = mask_seen(scores, batch, reference_compatible=reference_compatible)
            targets = torch.tensor([case.target for case in batch], device=scores.device)
            ranks[rows] = target_ranks(masked, targets, tie_order).cpu().numpy()
            if lists is not None:
                lists[rows] = top_items(masked, tie_order, lists.shape[1]).cpu().numpy()
            bar.update(len(batch))
    return ranks


def _check_finite(scores: Tensor, scorer: Scorer) -> None:
    """A NaN is neither above nor below a target: every rank would be wrong, and none would say."""
    if not torch.isfinite(scores).all():
        raise CheckpointError(
            f"{scorer.name} gives scores with NaN or infinity: its weights or embeddings are "
            "damaged, or its training has diverged; restore it, or train again with a lower "
            "learning rate."
        )


@torch.inference_mode()
def sampled_auc(
    scorer: Scorer,
    cases: Sequence[EvalCase],
    *,
    num_negatives: int = 100,
    batch_size: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """How often each case's target scores above a random item that its user has not seen.

    Args:
        scorer: with score_candidates, that is what it is asked.
        cases: B cases.
        num_negatives: drawn a case, uniformly and with replacement; seen ones do not count.
        batch_size: users scored at once.
        seed: of the draws, which do not depend on the model.

    Returns:
        (B,) float64 from 0 to 1, equal scores count half; nan where every draw was seen.

    Raises:
        CheckpointError: a score is NaN or infinite.
    """
    rng = np.random.default_rng(seed)
    values: list[np.ndarray] = []
    num_items = scorer.score([cases[0].history]).shape[1] if cases else 0
    for start in range(0, len(cases), batch_size):
        batch = cases[start : start + batch_size]
        histories = [case.history for case in batch]
        drawn = rng.integers(1, num_items, (len(batch), num_negatives))
        targets = np.array([[case.target] for case in batch])
        seen = np.stack([np.isin(d, h) for d, h in zip(drawn, histories, strict=True)])
        candidates = torch.from_numpy(np.concatenate([targets, drawn], axis=1))
        if isinstance(scorer, CandidateScorer):
            scores = scorer.score_candidates(histories, candidates).cpu()
        else:
            scores = scorer.score(histories).cpu().gather(1, candidates)
        _check_finite(scores, scorer)
        own, other = scores[:, :1].numpy(), scores[:, 1:].numpy()
        won = (own > other) + 0.5 * (own == other)
        won[seen | (drawn == targets)] = np.nan
        with warnings.catch_warnings():  # of a row without a single negative
            warnings.simplefilter("ignore", RuntimeWarning)
            values.append(np.nanmean(won, axis=1))
    return np.concatenate(values) if values else np.zeros(0)
