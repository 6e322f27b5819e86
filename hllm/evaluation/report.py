"""Results of an evaluation: a JSON-ready dictionary, and tables for people (Markdown)."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from hllm.evaluation.markdown import markdown_table
from hllm.evaluation.metrics import DEFAULT_KS, per_case, summarise
from hllm.evaluation.slices import Estimate, compare, estimate_mean

HEADLINE = ("recall@10", "ndcg@10")


def model_report(
    ranks: np.ndarray, masks: Mapping[str, np.ndarray], *, seed: int = 0
) -> dict[str, Any]:
    """Everything about one model.

    Args:
        ranks: (n,) from hllm.evaluation.ranking.rank_cases.
        masks: slice name -> (n,) bool, from hllm.evaluation.slices.slice_masks.
        seed: of the bootstrap.

    Returns:
        metrics: means over the n cases; intervals: 95% bootstrap, of recall@10 and ndcg@10;
        slices: these two with their intervals, and the number of cases.
    """
    values = per_case(ranks, (10,))  # only what has an interval
    return {
        "metrics": summarise(ranks, DEFAULT_KS),
        "intervals": {name: _bounds(estimate_mean(values[name], seed=seed)) for name in HEADLINE},
        "slices": {
            name: {"num_cases": int(mask.sum())}
            | {key: asdict(estimate_mean(values[key][mask], seed=seed)) for key in HEADLINE}
            for name, mask in masks.items()
        },
    }


def _bounds(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.high]


def comparison_report(
    ranks: Mapping[str, np.ndarray], first: str, *, seed: int = 0
) -> dict[str, Any]:
    """One model against every other on the same cases.

    Args:
        ranks: model -> (n,) ranks.
        first: the model that is compared with the others.
        seed: of the bootstrap.

    Returns:
        Other model -> metric -> difference and ratio, each with value, low and high (paired 95%
        bootstrap).
    """
    own = per_case(ranks[first], (10,))
    result: dict[str, Any] = {}
    for name, others in ranks.items():
        if name == first or len(others) == 0:  # a bootstrap needs at least one case
            continue
        values = per_case(others, (10,))
        result[name] = {}
        for metric in HEADLINE:
            difference, ratio = compare(own[metric], values[metric], seed=seed)
            result[name][metric] = {"difference": asdict(difference), "ratio": asdict(ratio)}
    return result


def part_report(
    ranks: Mapping[str, np.ndarray], mask: np.ndarray, *, seed: int = 0
) -> dict[str, Any]:
    """All models on a part of the cases that has tables of its own.

    Args:
        ranks: model -> (n,) ranks; the first is compared with every other.
        mask: (n,) bool.
        seed: of the bootstrap.

    Returns:
        num_cases, models (as model_report, without slices) and comparisons.
    """
    part = {name: values[mask] for name, values in ranks.items()}
    first = next(iter(part), "")
    return {
        "num_cases": int(mask.sum()),
        "models": {name: model_report(values, {}, seed=seed) for name, values in part.items()},
        "comparisons": {first: comparison_report(part, first, seed=seed)} if len(part) > 1 else {},
    }


def shortcut_report(ranks: Mapping[str, np.ndarray], shortcut: str) -> dict[str, float]:
    """How much of what a model finds a heuristic finds without a model.

    Args:
        ranks: model -> (n,) ranks.
        shortcut: the heuristic among them.

    Returns:
        Model -> share of the targets among its 10 best that are among the heuristic's, too; nan
        where it has none.
    """
    found = {name: values <= 10 for name, values in ranks.items()}
    own = found.pop(shortcut)
    return {
        name: float(own[hits].mean()) if hits.any() else math.nan for name, hits in found.items()
    }


def json_ready(value: Any) -> Any:
    """Replace nan and infinities, which JSON does not have, with None at any depth."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _percent(value: float | None) -> str:
    # None is what json_ready makes of nan, such as the mean over no users.
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f}"


def _with_interval(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return f"{_percent(value)} [{_percent(low)}, {_percent(high)}]"


def format_report(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables, in percent with 95% intervals."""
    models: Mapping[str, Any] = report["models"]
    parts = [
        report.get("split", {}).get("description", ""),
        f"{report['num_cases']:,} users, phase {report['phase']}, {_candidates(report)}; percent, "
        "[95% bootstrap interval]",
        _metric_table(models),
        _shortcut_lines(models, report.get("shortcut_audit", {})),
        _beyond_accuracy_table(models, report.get("diversity_space")),
        _slice_table(models),
    ]
    parts += _comparison_tables(report)
    if "held_out" in report:
        parts += _held_out_part(report["held_out"], report["split"])
    return "\n\n".join(part for part in parts if part)


def _held_out_part(part: Mapping[str, Any], split: Mapping[str, Any]) -> list[str]:
    title = (
        f"{part['num_cases']:,} of these users have a target that was held out of training "
        f"(--held_out_items {split['held_out_items']} --split_seed {split['split_seed']}); percent"
    )
    if not part["num_cases"]:
        return [title]
    return [title, _metric_table(part["models"]), *_comparison_tables(part)]


def _comparison_tables(report: Mapping[str, Any]) -> list[str]:
    pairs = report.get("comparisons", {}).items()
    return [_comparison_table(first, others) for first, others in pairs]


def _candidates(report: Mapping[str, Any]) -> str:
    text = f"{report['num_items']:,} candidate items"
    if untouched := report.get("num_untouched_items", 0):  # older reports have none
        text += f" ({untouched:,} that nobody has touched; ID models rank them last)"
    return text


def _metric_table(models: Mapping[str, Any]) -> str:
    names = list(next(iter(models.values()))["metrics"])
    rows = []
    for model, result in models.items():
        cells = [model]
        for name in names:
            value = result["metrics"][name]
            bounds = result["intervals"].get(name)
            cells.append(_with_interval(value, *bounds) if bounds else _percent(value))
        rows.append(cells)
    return markdown_table(["model", *names], rows)


def _shortcut_lines(models: Mapping[str, Any], audit: Mapping[str, Any]) -> str:
    lines = []
    for shortcut, shares in audit.items():
        own = _percent(models[shortcut]["metrics"]["recall@10"])
        line = f"Shortcut audit: {shortcut}, untrained, has {own}% of the targets among its 10 best"
        others = ", ".join(f"{name} {_percent(share)}%" for name, share in shares.items())
        lines.append(f"{line}; of what each model finds: {others}" if others else line)
    return "\n".join(lines)


def _beyond_accuracy_table(models: Mapping[str, Any], space: str | None) -> str:
    if not all("beyond_accuracy" in result for result in models.values()):
        return ""  # an older report
    names = list(next(iter(models.values()))["beyond_accuracy"])
    rows = []
    for model, result in models.items():
        rows.append([model, *(_plain(name, result["beyond_accuracy"][name]) for name in names)])
    similarity = f"diversity by {space}" if space else "no diversity: items have no categories"
    return (
        "Beyond accuracy: coverage in percent of the candidates, novelty in bits, popularity in "
        f"training interactions, {similarity}\n\n" + markdown_table(["model", *names], rows)
    )


def _plain(name: str, value: float | None) -> str:
    if value is None or name.startswith("coverage"):
        return _percent(value)
    return f"{value:,.1f}" if name.startswith("popularity") else f"{value:.3f}"


def _slice_table(models: Mapping[str, Any]) -> str:
    # All models rank the same users, so the counts of the first one are those of all.
    slices = next(iter(models.values()))["slices"]
    rows = []
    for name, counts in slices.items():
        if counts["num_cases"] == 0:
            continue
        cells = [name, f"{counts['num_cases']:,}"]
        for result in models.values():
            part = result["slices"][name]
            cells += [_percent(part[metric]["value"]) for metric in HEADLINE]
        rows.append(cells)
    header = ["part of the users", "users"]
    header += [f"{model} {metric}" for model in models for metric in HEADLINE]
    return markdown_table(header, rows) if rows else ""


def _comparison_table(first: str, others: Mapping[str, Any]) -> str:
    rows = []
    for other, metrics in others.items():
        for metric, pair in metrics.items():
            ratio = pair["ratio"]
            # Without a single hit of the other model there is no ratio; with few, no interval.
            known = ratio["value"] is not None and math.isfinite(ratio["value"])
            bounded = known and ratio["low"] is not None and math.isfinite(ratio["low"])
            times = f"{ratio['value']:.2f}x" if known else "-"
            times += f" [{ratio['low']:.2f}, {ratio['high']:.2f}]" if bounded else ""
            rows.append([other, metric, _with_interval(**pair["difference"]), times])
    return markdown_table([f"{first} against", "metric", "difference", "ratio"], rows)
