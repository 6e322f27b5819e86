"""The scoreboard: an item that a visitor picks is a prediction that both models had made before.

Only picks from the catalogue count: one from a column would favour that column's model. The rank is
among all items, whatever is filtered.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from app.asking import Asker
from app.cards import Card
from app.catalog.events import PickSums
from app.contract_picks import EstimatePayload, ModelScorePayload, ScoresPayload
from app.languages import marked, tr
from app.places import place
from app.service import Service

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.serving.explain import ItemRank

HIT_RANK = 10
FEWEST_VISITS = 5  # for an interval
RESAMPLES = 1000
CONFIDENCE = 0.95
MAX_AT_ONCE = 2
OTHER_MODELS = marked(
    "Picks are counted for HLLM and the baseline alone; here other models were started."
)


@dataclass(frozen=True)
class Verdict:
    """Where the models had ranked a picked item, by key of the column; and whether it is stored."""

    card: Card
    ranks: dict[str, ItemRank]
    is_stored: bool


class Scoreboard(Asker):
    """Judges picks, and counts those of all visits."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._judging = threading.BoundedSemaphore(MAX_AT_ONCE)

    def judge(
        self, item_id: str, raw_history: object, session_id: str, key: str = ""
    ) -> Verdict | None:
        """Where both models had a picked item, which is recorded; None if one of them had not.

        Args:
            item_id: of the item.
            raw_history: before the pick, as a page sent it; see app.session.clean_history.
            session_id: random id of a visitor's page.
            key: of this pick, which may be told again; "" if it is not.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        if not self._service.counts_picks:
            return None
        history = self._service.clean(raw_history)
        cards = self._service.cards_of([item_id])
        if not history.item_ids or item_id in history.item_ids or not cards:
            return None
        ranks = {}
        with place(self._judging):
            for column in self._service.columns:
                _, rank = column.question(lambda r: r.rank_of(history.items, item_id))
                if rank is None:
                    return None
                ranks[column.key] = rank
        hllm, baseline = (rank.rank for rank in ranks.values())
        receipt = self._service.events.add_pick(session_id, item_id, hllm, baseline, key)
        return Verdict(cards[0], ranks, receipt.is_stored())

    def scores(self) -> ScoresPayload:
        """The picks of all visits.

        Raises:
            CatalogError: they cannot be read.
        """
        if not self._service.counts_picks:
            return {"picks": 0, "visits": 0, "models": {}, "message": tr(OTHER_MODELS)}
        events = self._service.events
        if not events.days:
            message = tr("This server keeps no picks: only those of this visit count.")
            return {"picks": 0, "visits": 0, "models": {}, "message": message}
        sums = events.pick_sums(HIT_RANK)
        keys = [column.key for column in self._service.columns]
        return {
            "picks": sum(found.picks for found in sums),
            "visits": len(sums),
            "models": {key: model_score(sums, at) for at, key in enumerate(keys)} if sums else {},
            "message": "" if sums else tr("There are no picks of other visits yet."),
        }


def model_score(sums: Sequence[PickSums], at: int) -> ModelScorePayload:
    """The metrics of one model.

    Args:
        sums: of every visit, one at least.
        at: which model: 0 or 1.
    """
    picks = np.array([found.picks for found in sums])
    return {
        "closer": sum(found.closer[at] for found in sums),
        "hit": estimate(np.array([found.hits[at] for found in sums], dtype=float), picks),
        "mrr": estimate(np.array([found.reciprocal_ranks[at] for found in sums]), picks),
    }


def estimate(totals: np.ndarray, picks: np.ndarray) -> EstimatePayload:
    """A mean over picks, with a bootstrap interval over visits.

    Visits are drawn, not picks: those of one visitor resemble each other.

    Args:
        totals: (V,) sums of each visit.
        picks: (V,) how many picks they are of.
    """
    value = float(totals.sum() / picks.sum())
    if len(picks) < FEWEST_VISITS:
        return {"value": value, "low": None, "high": None}
    even = np.full(len(picks), 1 / len(picks))
    drawn = np.random.default_rng(0).multinomial(len(picks), even, size=RESAMPLES)  # (R, V)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((drawn @ totals) / (drawn @ picks), [tail, 1 - tail])
    return {"value": value, "low": float(low), "high": float(high)}
