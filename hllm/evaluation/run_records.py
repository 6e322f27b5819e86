"""What a run folder says of itself: options, steps, time and metrics. Imports no model library."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# In the folder of a run: its options, for --config; what training logged; what hllm.evaluate found.
OPTIONS, LOG, RESULTS = "train.json", "log.jsonl", "results.json"
CHOSEN_BY = "ndcg@10"  # what hllm.training.trainer keeps the best model by


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Attributes:
        folder: where it lies.
        problem: why nothing else is known, "" if all is well.
        options: of train.json.
        steps: optimiser steps done.
        seconds: wall time of the training, None before the first validation.
        best_step: the step of the best validation, None before the first.
        valid: metrics of that validation, 0 to 1.
        test: metrics of results.json, 0 to 1; empty without an evaluation.
        test_users: how many users these are of.
    """

    folder: Path
    problem: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    seconds: float | None = None
    best_step: int | None = None
    valid: Mapping[str, float] = field(default_factory=dict)
    test: Mapping[str, float] = field(default_factory=dict)
    test_users: int | None = None


def find_runs(folders: Iterable[Path]) -> list[RunRecord]:
    """Read the runs in folders and anywhere below them, each once.

    A folder without a run, and a run that cannot be read, is a record with a problem.
    """
    found: dict[Path, RunRecord] = {}
    for folder in folders:
        runs = sorted(path.parent for path in folder.rglob(OPTIONS))
        if not runs:
            problem = f"no {OPTIONS} in it or below" if folder.is_dir() else "no such folder"
            found.setdefault(folder.resolve(), RunRecord(folder=folder, problem=problem))
        for run in runs:
            found.setdefault(run.resolve(), read_run(run))
    return list(found.values())


def read_run(folder: Path) -> RunRecord:
    """Read one run; never raises for what the folder holds."""
    try:
        options = _object(folder / OPTIONS)
        lines = _log(folder / LOG)
        results = _object(folder / RESULTS) if (folder / RESULTS).exists() else {}
        best = _best(lines)
        return RunRecord(
            folder=folder,
            options=options,
            steps=max((int(line["step"]) for line in lines), default=0),
            seconds=max((float(v) for line in lines for v in _seconds(line)), default=None),
            best_step=int(best["step"]) if best else None,
            valid=_metrics(best),
            test=_metrics(_own_model(results, folder).get("metrics", {})),
            test_users=int(results["num_cases"]) if results else None,
        )
    except OSError as error:
        return RunRecord(folder=folder, problem=f"{error.filename}: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        return RunRecord(folder=folder, problem=f"damaged ({type(error).__name__}: {reason})")


def _object(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} holds no object")
    return values


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.exists():  # nothing was trained yet
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    # A run that was killed while it wrote leaves a line without its end.
    return [json.loads(line) for line in lines if line.endswith("}")]


def _best(lines: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The validation whose model was kept: of equal ones the first."""
    valid = [line for line in lines if line["kind"] == "valid" and CHOSEN_BY in _metrics(line)]
    return max(valid, key=lambda line: float(line[CHOSEN_BY]), default={})


def _seconds(line: Mapping[str, Any]) -> list[Any]:
    return [line["seconds"]] if line["kind"] == "valid" and "seconds" in line else []


def _own_model(results: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The run's own entry in results.json: hllm.evaluate calls it by the folder; else the first."""
    models = results.get("models", {})
    return models.get(folder.resolve().name) or next(iter(models.values()), {})


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in values.items()
        if ("@" in name or name in ("mrr", "auc"))
        and isinstance(value, int | float)
        and math.isfinite(value)
    }
