"""What is known of how good a model is: recall@10 and ndcg@10 from its own folder, in words."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.languages import marked
from hllm.evaluation.run_records import OPTIONS, RESULTS, read_run

NOT_EVALUATED = marked("not evaluated")
METRICS = ("recall@10", "ndcg@10")
# What stands in the reports beside the metrics, for tr_parts.
REPORTED = (
    *(marked("test"), marked("valid"), marked("validation")),
    *(marked("leave-one-out"), marked("temporal"), marked("files")),
    *(marked("{0} users"), marked("{0} simulated readers")),
)

logger = logging.getLogger(__name__)


def numbers_in(report: Path, name: str) -> str:
    """What a report of hllm.evaluate says of one of its models.

    Args:
        report: its --output.
        name: of the model, as the report has it.

    Returns:
        Metrics with split and number of users; NOT_EVALUATED where the report is missing, damaged
        or says nothing of the model.
    """
    try:
        if not report.is_file():
            return NOT_EVALUATED
        values = json.loads(report.read_text(encoding="utf-8"))
        found = values["models"].get(name)
        if found is None:
            return NOT_EVALUATED
        # The built-in report is of simulated readers, and says so.
        who = f"{int(values['num_cases']):,} {values.get('who', 'users')}"
        where = f"{values['phase']}, {values['split']['split']}, {who}"
        return _words(found["metrics"], where)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read (%s): its numbers are not shown.", report, error)
        return NOT_EVALUATED


def numbers_of(folder: Path) -> str:
    """What a model folder says of its own model: its test if there is one, else its validation.

    Returns:
        Metrics with split and, where it is known, number of users; or NOT_EVALUATED.
    """
    tested = numbers_in(folder / RESULTS, folder.resolve().name)
    if tested != NOT_EVALUATED or not (folder / OPTIONS).is_file():
        return tested
    run = read_run(folder)
    if run.problem:
        logger.warning("%s: %s", folder, run.problem)
        return NOT_EVALUATED
    split = run.options.get("split")
    where = f"validation, {split}" if isinstance(split, str) else "validation"
    return _words(run.valid, where)


def _words(metrics: Mapping[str, Any], where: str) -> str:
    known = [f"{name} {float(metrics[name]):.3f}" for name in METRICS if name in metrics]
    return f"{', '.join(known)} ({where})" if known else NOT_EVALUATED
