"""Draw docs/study.json: one panel a question, with 95% intervals (needs matplotlib).

A point with several seeds is drawn once a seed; it also goes to the output, mean and deviation.

python benchmarks/study_plots.py
"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

DOCS = Path(__file__).resolve().parents[1] / "docs"


def print_seeds(panels: dict[str, list[dict]]) -> None:
    """Mean and standard deviation over the seeds, in percent."""
    for title, shown in panels.items():
        seeds = defaultdict(list)
        for point in shown:
            seeds[point["label"]].append(point)
        for label, runs in seeds.items():
            if len(runs) > 1:
                print(title, label.replace("\n", " "), f"{len(runs)} seeds", sep=" | ", end="")
                for metric in ("recall@10", "ndcg@10"):
                    values = [100 * run[metric] for run in runs]
                    mean, deviation = statistics.mean(values), statistics.stdev(values)
                    print(f" | {metric} {mean:.2f} +- {deviation:.2f}", end="")
                print()


def main() -> None:
    """Read the results, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=DOCS / "images" / "study.svg", help="default: %(default)s"
    )
    output = parser.parse_args().output
    points = json.loads((DOCS / "study.json").read_text(encoding="utf-8"))["points"]
    panels = defaultdict(list)
    for point in points:
        point["label"] = point["label"].replace(" ", "\n")
        panels[f"{point['question']} ({point['data']})"].append(point)
    print_seeds(panels)
    columns = 3
    rows = -(-len(panels) // columns)
    figure, grid = pyplot.subplots(rows, columns, figsize=(4 * columns, 2.8 * rows))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, shown) in zip(grid.flat, panels.items(), strict=False):
        values = [100 * point["recall@10"] for point in shown]
        bounds = [[100 * bound for bound in point["intervals"]["recall@10"]] for point in shown]
        errors = [
            [value - low for value, (low, _) in zip(values, bounds, strict=True)],
            [high - value for value, (_, high) in zip(values, bounds, strict=True)],
        ]
        labels = [point["label"] for point in shown]
        axes.errorbar(labels, values, yerr=errors, fmt="o", capsize=3)
        axes.margins(x=0.2)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel("recall@10, %")
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(output)


if __name__ == "__main__":
    main()
