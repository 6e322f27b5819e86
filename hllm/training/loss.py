"""The training objective: InfoNCE over cosine similarities with a learned temperature.

P positions (all users' valid ones), M negatives shared by all positions, D embedding width.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAX_LOGIT_SCALE = math.log(100)  # CLIP's bound on the log of the scale
FALSE_NEGATIVE_COSINE = 0.99  # nce_thres of the reference


@torch.no_grad()
def clamp_logit_scale(logit_scale: nn.Parameter) -> None:
    """Hold the log-scale in [0, ln 100], in place, as the reference does before every use."""
    logit_scale.clamp_(0, MAX_LOGIT_SCALE)


def contrastive_logits(
    user: Tensor,
    positives: Tensor,
    negatives: Tensor,
    logit_scale: Tensor,
    *,
    cosine: bool = True,
    threshold: float = FALSE_NEGATIVE_COSINE,
) -> Tensor:
    """Logits of the generative objective (Paper: 2409.12740 section 3.3 eq. 1).

    Args:
        user: (P, D) predictions of the User LLM.
        positives: (P, D) embedding of the item that came next.
        negatives: (M, D) embeddings of sampled items.
        logit_scale: () log of the factor on cosines (1 / temperature).
        cosine: compare by cosine, as the paper; otherwise by dot product, as SASRec.
        threshold: a negative whose cosine with the positive exceeds this is a false negative, and
            its logit is -inf.

    Returns:
        (P, 1 + M) logits; column 0 is the positive.
    """
    directions = [F.normalize(x, dim=-1) for x in (user, positives, negatives)]
    # Which negatives count is a decision and not part of the loss: no gradient goes through it.
    with torch.no_grad():
        # (P, M); among them the target itself, where it was sampled, and exact duplicates.
        false = directions[1] @ directions[2].T > threshold
    if cosine:
        user, positives, negatives = directions
    scale = logit_scale.exp()
    positive = (user * positives).sum(dim=-1, keepdim=True)  # (P, 1)
    negative = user @ negatives.T  # (P, M)
    # -inf after the scale: before it, the gradient of logit_scale would be 0 * inf = NaN.
    scaled = (negative * scale).masked_fill(false, float("-inf"))
    return torch.cat([positive * scale, scaled], dim=1)


def info_nce(logits: Tensor, *, num_positions: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of (P, 1 + M) logits with the positive in column 0.

    Args:
        logits: see contrastive_logits.
        num_positions: () divide the sum by this instead of by P (distributed runs).

    Returns:
        () loss. Without any position (a batch of one-item histories) it is 0 and has a gradient;
        the reference gives NaN.
    """
    labels = torch.zeros(logits.shape[0], dtype=torch.long, device=logits.device)
    # A sum that is divided below: the mean over no positions would be NaN and ruin the weights.
    total = F.cross_entropy(logits.float(), labels, reduction="sum")
    count = num_positions if num_positions is not None else torch.tensor(float(logits.shape[0]))
    return total / count.to(total.device).clamp_min(1e-9)


@torch.no_grad()
def contrastive_stats(logits: Tensor) -> dict[str, float]:
    """What the reference logs: mean number of finite logits, and top-k accuracies."""
    if logits.shape[0] == 0:  # a mean over nothing would be NaN in the log
        return {}
    rank = (logits[:, 1:] > logits[:, :1]).sum(dim=1) + 1
    stats = {"nce_samples": torch.isfinite(logits).sum(dim=1).float().mean().item()}
    # A top 100 of 50 columns would say nothing.
    for k in (1, 5, 10, 50, 100):
        if k <= logits.shape[1]:
            stats[f"top{k}_accuracy"] = (rank <= k).float().mean().item()
    return stats
