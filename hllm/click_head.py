"""The discriminative variants: the probability that a user clicks a given item.

B users, S history items, Q prefixes per history, C candidates per prefix, D embedding width.

Early fusion: the candidate is appended to the history, and a head reads the User LLM's state there.
Candidate and history meet in every layer, so that every candidate costs a token. Late fusion: the
learned [USER] token is appended instead, and the head combines its state with the candidate's
embedding. The user's part is computed once and can be cached.

Prefixes of one history, and candidates of one prefix, share one pass. Appended tokens stand behind
the history, each at the position that follows its prefix, and attend only to that prefix and to
themselves. The history's own states stay those of the generative model.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hllm.choices import LATE_FUSION


class ClickHead(nn.Module):
    """What the two variants add to the language models.

    Args:
        objective: EARLY_FUSION or LATE_FUSION.
        size: D.

    Attributes:
        user_token: (D,) the learned [USER] token; None in early fusion.
    """

    def __init__(self, objective: str, size: int) -> None:
        super().__init__()
        is_late = objective == LATE_FUSION
        self.user_token = nn.Parameter(torch.empty(size)) if is_late else None
        # Late fusion reads user, item and their product: from the first two alone, a small network
        # does not learn how well they match.
        self.mlp = nn.Sequential(
            nn.Linear(3 * size if is_late else size, size), nn.GELU(), nn.Linear(size, 1)
        )

    def forward(
        self, user_llm: nn.Module, histories: Tensor, prefixes: Tensor, candidates: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of candidates after prefixes of histories.

        Args:
            user_llm: transformers decoder that reads embeddings.
            histories: (B, S, D) item embeddings, oldest first, padded on the right.
            prefixes: (B, Q) how many items of the history come before the candidates.
            candidates: (B, Q, C, D) item embeddings.

        Returns:
            (B, Q, C) logits of a click, and (B, S, D) the generative states of the history.
        """
        if self.user_token is None:
            appended = candidates.flatten(1, 2)  # (B, Q * C, D)
            after = prefixes.repeat_interleave(candidates.shape[2], dim=1)  # (B, Q * C)
        else:
            appended = self.user_token.expand(*prefixes.shape, -1)  # (B, Q, D)
            after = prefixes
        states, ends = _states_with_appended(user_llm, histories, appended, after)
        if self.user_token is None:
            return self.mlp(ends).squeeze(-1).view(candidates.shape[:3]), states  # (B, Q, C)
        return self._late_fusion_logits(ends.unsqueeze(2), candidates), states

    def _late_fusion_logits(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits (B, Q, C) of user states (B, Q, 1, D) and item embeddings (B, Q, C, D)."""
        # Brought to one scale: the User LLM's last norm gives states another one than items have.
        users, items = (F.rms_norm(x, x.shape[-1:]) for x in (users, items))
        features = torch.cat([users.expand_as(items), items, users * items], dim=-1)
        return self.mlp(features).squeeze(-1)


def _states_with_appended(
    user_llm: nn.Module, histories: Tensor, appended: Tensor, after: Tensor
) -> tuple[Tensor, Tensor]:
    """States of histories and of tokens appended behind prefixes of them, in one pass.

    Args:
        user_llm: transformers decoder that reads embeddings.
        histories: (B, S, D).
        appended: (B, R, D) embeddings of the tokens.
        after: (B, R) length of the prefix that each token follows.

    Returns:
        (B, S, D) states of the histories, (B, R, D) of the tokens.
    """
    size, extra = histories.shape[1], appended.shape[1]
    columns = torch.arange(size, device=histories.device)
    causal = (columns <= columns.unsqueeze(1)).expand(len(histories), -1, -1)  # (B, S, S)
    prefix = columns < after.unsqueeze(-1)  # (B, R, S)
    itself = torch.eye(extra, dtype=torch.bool, device=histories.device).expand(len(prefix), -1, -1)
    nobody = torch.zeros_like(prefix).transpose(1, 2)  # no item sees what is appended
    # (B, S + R, S + R), rows look at columns.
    visible = torch.cat([torch.cat([causal, nobody], 2), torch.cat([prefix, itself], 2)], 1)
    inputs = torch.cat([histories, appended], dim=1).to(histories.dtype)
    # transformers adds a 4D mask to the attention logits: 0 leaves a token visible.
    mask = torch.zeros_like(visible, dtype=inputs.dtype)
    mask.masked_fill_(~visible, torch.finfo(inputs.dtype).min)
    positions = torch.cat([columns.expand(len(histories), -1), after], dim=1)
    states = user_llm(
        inputs_embeds=inputs,
        attention_mask=mask.unsqueeze(1),
        position_ids=positions,
        use_cache=False,
    ).last_hidden_state
    return states[:, :size], states[:, size:]


def click_loss(logits: Tensor, counted: Tensor) -> Tensor:
    """Sum of the binary cross-entropies; the first candidate of each prefix was clicked.

    Args:
        logits: (B, Q, C), see ClickHead.
        counted: (B, Q, C) False where there is no target, or a negative that is the target.

    Returns:
        () float32 sum over the counted logits.
    """
    labels = torch.zeros_like(logits, dtype=torch.float32)
    labels[..., 0] = 1
    losses = F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none")
    return losses[counted].sum()
