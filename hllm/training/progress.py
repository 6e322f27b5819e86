"""Where a training run stands, and how fast it goes."""

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass
class Progress:
    """Where a run stands; saved with its state.

    Attributes:
        step: optimiser steps done.
        best: best validation ndcg@10 so far.
        best_step: the step it was reached at.
        worse: validations in a row without a better value.
        seconds: wall time of all sessions.
    """

    step: int = 0
    best: float = -1.0  # so that an ndcg of 0 is a first best, and there is a model
    best_step: int = 0
    worse: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        """For hllm.training.run_state.save_objects."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """For hllm.training.run_state.load_objects."""
        vars(self).update(state)


class Speed:
    """Sequences and different items per second, over the last steps, without validation."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, float, float]] = deque(maxlen=20)

    def add(self, seconds: float, sequences: float, items: float) -> dict[str, float]:
        """One step's numbers in, the rates of the last steps out."""
        self._steps.append((seconds, sequences, items))
        total, sequences, items = (sum(column) for column in zip(*self._steps, strict=True))
        return {"sequences_per_s": sequences / total, "items_per_s": items / total}
