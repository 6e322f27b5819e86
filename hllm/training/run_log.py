"""The log of a training run: one JSON object per line, and TensorBoard events if wanted."""

import json
from collections.abc import Mapping
from pathlib import Path

from hllm.atomic import atomic_text
from hllm.evaluation.run_records import LOG


class RunLog:
    """Appends metrics to log.jsonl in the output folder.

    Args:
        folder: of the run.
        tensorboard: also write TensorBoard events there (needs the package tensorboard).
    """

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LOG
        self._held: list[str] | None = None
        self._writer = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  optional package

            self._writer = SummaryWriter(str(folder))

    def write(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Add one line: kind "train" or "valid", the step, the values."""
        record = {"kind": kind, "step": step} | {k: round(v, 6) for k, v in values.items()}
        line = json.dumps(record) + "\n"
        if self._held is not None:
            self._held.append(line)
        else:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(line)
        if self._writer:
            for name, value in values.items():
                self._writer.add_scalar(f"{kind}/{name}", value, step)
            # The writer's own thread writes every two minutes: a killed run would lose them.
            self._writer.flush()

    def hold(self) -> None:
        """Keep lines in memory: the log in the folder is of a run that still stands."""
        self._held = []

    def release(self) -> None:
        """Let the lines held replace the log in the folder."""
        if self._held is not None:
            with atomic_text(self._path) as file:
                file.writelines(self._held)
            self._held = None

    def keep_until(self, step: int) -> None:
        """Drop lines after a step, and half a line at the end: a resumed run writes them again.

        Args:
            step: of the state that the run continues from, -1 if there is none.
        """
        if not self._path.exists():
            return
        lines = self._path.read_text(encoding="utf-8").splitlines()
        # A run that was killed while it wrote leaves a line without its end.
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        with atomic_text(self._path) as file:
            file.writelines(f"{line}\n" for line in kept)
