"""Scorers for models that read a sequence of item embeddings: HLLM and the ID models.

B users, S history items, D embedding width.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hllm.baselines.id_models import IDModel
from hllm.click_head import ClickHead
from hllm.errors import CheckpointError
from hllm.model import HLLM
from hllm.serving.blend import Blend, combined

EncodeUsers = Callable[[Tensor, Tensor], Tensor]


def pad_histories(histories: Sequence[np.ndarray], max_history: int) -> tuple[Tensor, Tensor]:
    """The most recent items of each history, padded on the right with 0.

    Args:
        histories: B arrays of item indices, oldest first.
        max_history: most items kept.

    Returns:
        (B, S) item indices and (B,) lengths; an empty history counts as a single padding item.
    """
    recent = [history[-max_history:] for history in histories]
    lengths = torch.tensor([max(len(history), 1) for history in recent])
    items = torch.zeros(len(recent), int(lengths.max()), dtype=torch.long)  # (B, S)
    for row, history in enumerate(recent):
        items[row, : len(history)] = torch.from_numpy(np.ascontiguousarray(history))
    return items, lengths


class SequenceScorer:
    """Cosine, or dot product, of the last user state with every item embedding.

    Args:
        name: of the model, for tables.
        encode_users: (B, S, D) embeddings padded on the right and (B,) lengths -> (B, S, D) states.
        item_embeddings: (num_items, D), row 0 padding, not normalised, on the device to compute on.
        max_history: most items the model reads.
        dtype: of normalisation and score matrix. float32 is exact; the published HLLM numbers were
            computed in bfloat16 (DeepSpeed bf16 evaluation), in which many scores tie.
        cosine: otherwise dot product.
    """

    def __init__(
        self,
        name: str,
        encode_users: EncodeUsers,
        item_embeddings: Tensor,
        max_history: int,
        *,
        dtype: torch.dtype = torch.float32,
        cosine: bool = True,
    ) -> None:
        self.name = name
        self.max_history = max_history
        self._encode_users = encode_users
        self._inputs = item_embeddings
        self._cosine = cosine
        self._candidates = self._comparable(item_embeddings.to(dtype))  # (num_items, D)

    def _comparable(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=-1) if self._cosine else vectors

    @torch.inference_mode()
    def users(self, histories: Sequence[np.ndarray]) -> Tensor:
        """User embeddings (B, D) of histories, not normalised."""
        items, lengths = pad_histories(histories, self.max_history)
        device = self._inputs.device
        items, lengths = items.to(device), lengths.to(device)
        states = self._encode_users(self._inputs[items], lengths)  # (B, S, D)
        return states[torch.arange(len(items), device=device), lengths - 1]  # at the last items

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Cosines or dot products (B, num_items), float32."""
        users = self._comparable(self.users(histories).to(self._candidates.dtype))
        return (users @ self._candidates.T).float()


class HLLMScorer(SequenceScorer):
    """HLLM with item embeddings that exist already (hllm.embed.encode_catalog).

    Args:
        model: in eval mode, on its device, in its precision.
        item_embeddings: (num_items, D) by item_index, row 0 padding, not normalised.
        name: for tables.
        bf16: normalise and multiply in bfloat16, as the published numbers were computed; call
            hllm.model.to_bfloat16 on the model before its item embeddings are made.
    """

    def __init__(
        self, model: HLLM, item_embeddings: Tensor, *, name: str = "HLLM", bf16: bool = False
    ) -> None:
        super().__init__(
            name,
            # RoPE is relative and attention causal: the lengths are not needed.
            lambda embeddings, lengths: model.encode_users(embeddings).last_hidden_state,
            item_embeddings.to(model.device),
            model.config.max_history,
            dtype=torch.bfloat16 if bf16 else torch.float32,
        )


class ClickScorer(HLLMScorer):
    """A discriminative HLLM: its generative part finds candidates, its click head ranks them.

    Args:
        model: with a click_head; otherwise as HLLMScorer's.
        item_embeddings: see HLLMScorer.
        name: for tables.
        bf16: see HLLMScorer.
        num_ranked: how many of the best items by cosine the click head ranks anew. They stay
            ahead of all others.
    """

    def __init__(
        self,
        model: HLLM,
        item_embeddings: Tensor,
        *,
        name: str = "HLLM",
        bf16: bool = False,
        num_ranked: int = 100,
    ) -> None:
        super().__init__(model, item_embeddings, name=name, bf16=bf16)
        self._model = model
        self._num_ranked = num_ranked

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, num_items): cosines, and 2 or more for the items ranked by the click head."""
        scores = super().score(histories)
        scores[:, 0] = float("-inf")  # padding is not a candidate
        best = scores.topk(min(self._num_ranked, scores.shape[1] - 1), dim=1).indices
        logits = self.score_candidates(histories, best)
        # Cosines end at 1: from 2 on, the ranked ones stay ahead.
        return scores.scatter(1, best, 2 + logits - logits.min(dim=1, keepdim=True).values)

    @torch.inference_mode()
    def score_candidates(self, histories: Sequence[np.ndarray], candidates: Tensor) -> Tensor:
        """Logits (B, C), float32, of a click on candidates (B, C), item indices."""
        items, lengths = pad_histories(histories, self.max_history)
        device = self._inputs.device
        # One prefix per history: all of it.
        items, prefixes = items.to(device), lengths.to(device).unsqueeze(1)
        inputs = self._inputs.to(self._model.dtype)
        head: ClickHead = self._model.click_head  # type: ignore[assignment]
        embedded = inputs[candidates.to(device)].unsqueeze(1)  # (B, 1, C, D)
        logits, _ = head(self._model.user_llm, inputs[items], prefixes, embedded)
        return logits.squeeze(1).float()


def make_scorer(
    model: HLLM, item_embeddings: Tensor, *, name: str = "HLLM", bf16: bool = False
) -> HLLMScorer:
    """The scorer of a model's objective; arguments as HLLMScorer's."""
    kind = HLLMScorer if model.click_head is None else ClickScorer
    return kind(model, item_embeddings, name=name, bf16=bf16)


class BlendedScorer:
    """An HLLM with its blend (hllm.serving.blend).

    Args:
        hllm: scores by cosine.
        blend: of the same model.
        blend_ids: item ids in the order of the blend's rows.
        item_ids: by item_index of the data set, padding first.

    Raises:
        CheckpointError: the data set has other items than the blend.
    """

    def __init__(
        self, hllm: HLLMScorer, blend: Blend, blend_ids: Sequence[str], item_ids: Sequence[str]
    ) -> None:
        if sorted(blend_ids) != sorted(item_ids[1:]):
            raise CheckpointError(
                f"the blend of {hllm.name} is of other items than this data set: make it again "
                "with  python -m hllm.blend  or remove it."
            )
        self.name = f"{hllm.name}, blended"
        self._hllm, self._blend = hllm, blend
        row = {item_id: place for place, item_id in enumerate(blend_ids)}
        # Padding has no row: it takes that of the first item, and is never a candidate.
        self._rows = torch.tensor([0, *(row[item_id] for item_id in item_ids[1:])])
        self.counts = blend.counts[self._rows]  # (num_items,)

    def parts(self, histories: Sequence[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
        """HLLM's cosines, the text's, and neighbours: each (B, num_items), float32."""
        text, near = self._blend.parts(self.rows(histories))
        return self._hllm.score(histories).cpu(), text[:, self._rows], near[:, self._rows]

    def latest_text(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Cosine (B, num_items) of the text of each history's last item."""
        texts = self._blend.exact_texts
        last = torch.tensor([rows[-1] for rows in self.rows(histories)])
        return (texts[last] @ texts.T)[:, self._rows]

    def rows(self, histories: Sequence[np.ndarray]) -> list[list[int]]:
        """Histories of item indices as histories of the blend's rows."""
        return [self._rows[torch.from_numpy(np.ascontiguousarray(h))].tolist() for h in histories]

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Scores (B, num_items), float32."""
        return combined(*self.parts(histories), self.counts, self._blend.weights)


class IDModelScorer(SequenceScorer):
    """An ID model (hllm.baselines.id_models) with its own item table.

    Args:
        model: in eval mode, on its device.
        name: for tables.
        num_items: of the catalogue, padding included; None: those of the model's table. It has no
            embedding of the others, which get the lowest score there is: it ranks them last, and
            does not read them in a history.
    """

    def __init__(self, model: IDModel, *, name: str, num_items: int | None = None) -> None:
        # Through the model: an id-llama projects its table.
        with torch.no_grad():
            table = model.item_embeddings().detach()
        config = model.config
        super().__init__(name, model.encode_users, table, config.max_history, cosine=config.cosine)
        self._num_unknown = (num_items or len(table)) - len(table)

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """Cosines or dot products (B, num_items), float32."""
        known = [history[history < len(self._inputs)] for history in histories]
        # A dot product has no bound; -inf is for items that are masked.
        lowest = -1.0 if self._cosine else torch.finfo(torch.float32).min
        return F.pad(super().score(known), (0, self._num_unknown), value=lowest)
