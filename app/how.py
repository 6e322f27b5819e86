"""The numbers of the band "How it works": what one answer took, and what computed it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.columns import ColumnAnswer, ColumnInfo
from app.contract import HowPayload, StagePayload
from app.languages import tr, tr_parts

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    from hllm.serving.ranker import Stage

_UNITS = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))


def how_payload(columns: Sequence[ColumnAnswer], started: float) -> HowPayload | None:
    """What an answer took; None where no HLLM has answered.

    Args:
        columns: left, then right; may be empty. The first HLLM of them is told of.
        started: time.perf_counter() when the request came.
    """
    told = next((c for c in columns if c.result is not None and c.info.stages is not None), None)
    if told is None or told.result is None or told.info.stages is None:
        return None
    hllm, stages = told.result, told.info.stages
    beside = next((c for c in columns if c is not told), None)
    other = beside.result if beside else None
    return {
        "stages": [stage_payload(stage) for stage in (stages.item, stages.user, stages.search)],
        "width": stages.width,
        "num_items": told.info.num_items,
        "num_read": hllm.num_read,
        "num_known": hllm.num_known,
        "encode_ms": round(hllm.encode_ms, 3),
        "search_ms": round(hllm.search_ms, 3),
        "num_candidates": hllm.num_candidates,
        "beside": beside_words(beside.info) if beside and other else "",
        "baseline_ms": round(other.encode_ms + other.search_ms, 3) if other else None,
        "server_ms": round((time.perf_counter() - started) * 1e3, 3),
    }


def beside_words(info: ColumnInfo) -> str:
    """What the other column is, for people."""
    if not info.model:
        return info.title
    return tr("{model} ({what})", model=info.title, what=tr_parts(info.model))


def stage_payload(stage: Stage) -> StagePayload:
    """A step as the band names it."""
    size = (
        tr("{count} parameters", count=_short(stage.num_parameters)) if stage.num_parameters else ""
    )
    held = f"{stage.num_bytes / 1e6:,.1f} MB" if stage.num_bytes else ""
    facts = (size, stage.precision, stage.device, held)
    return {"name": tr(stage.name), "facts": " \u00b7 ".join(fact for fact in facts if fact)}


def _short(count: int) -> str:
    """A large number in three digits: "22.7M"."""
    for unit, sign in _UNITS:
        if count >= unit:
            return f"{count / unit:.3g}{sign}"
    return str(count)
