"""Many visitors at once: clicks a second and latency, batched and one at a time.

    python benchmarks/bench_visitors.py [--shape books|tinyllama] [--seconds 10]

Visitors are threads that click again as soon as they are answered: the worst case, as nobody reads.
Each has a history of its own; a click appends an item, and at the end of a history a visitor starts
another. "alone" is the same encoder with one history a forward pass, which is what a lock around
the model does. Random weights; the books' shape in fp32, TinyLlama's in int4, as the app would
choose (hllm.serving.precision). Every answer of a sample is compared with that history read by
itself (for int4 by cosine: activations are rounded). The last line is the process's memory over
10,000 clicks.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import torch
from torch import Tensor

from benchmarks.measure import machine_line
from benchmarks.shapes import USER_LLMS, make_folder, new_user_llm
from hllm.serving.history_encoder import HistoryEncoder
from hllm.serving.incremental import IncrementalModel, TransformersIncremental
from hllm.serving.request_batching import MAX_BATCH
from hllm.serving.user_model import load_user_model

VISITORS = (1, 2, 5, 10, 20, 50)
MAX_HISTORY = 50
LONGEST = 40  # items after which a visitor starts anew
NUM_ITEMS = 2_000
CLICKS_FOR_MEMORY = 10_000
SAMPLE = 40


@dataclass
class Run:
    """What the visitors of one run saw."""

    latencies_ms: list[float]
    seconds: float
    answers: list[tuple[list[int], Tensor]]

    def line(self) -> tuple[float, float, float]:
        """Clicks a second, median and 95th percentile of the latency in ms."""
        cuts = statistics.quantiles(self.latencies_ms, n=20)
        return len(self.latencies_ms) / self.seconds, cuts[9], cuts[18]


def visit(encoder: HistoryEncoder, seed: int, deadline: float, max_clicks: int, run: Run) -> None:
    """One visitor."""
    choose = random.Random(seed)
    rows = [choose.randrange(NUM_ITEMS)]
    for _ in range(max_clicks):
        if time.perf_counter() > deadline:
            return
        started = time.perf_counter()
        state = encoder.encode(rows).float().cpu()  # waits for a GPU, as a search would
        run.latencies_ms.append((time.perf_counter() - started) * 1e3)
        if choose.random() < 0.05:
            run.answers.append((list(rows), state))
        rows = [*rows, choose.randrange(NUM_ITEMS)] if len(rows) < LONGEST else rows[:1]
        if len(rows) == 1:
            rows = [choose.randrange(NUM_ITEMS)]


def visits(
    encoder: HistoryEncoder, visitors: int, seconds: float, max_clicks: int = 1 << 30
) -> Run:
    """All visitors at once."""
    run = Run([], 0.0, [])
    started = time.perf_counter()
    threads = [
        threading.Thread(target=visit, args=(encoder, seed, started + seconds, max_clicks, run))
        for seed in range(visitors)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.seconds = time.perf_counter() - started
    return run


def worst_difference(steps: IncrementalModel, items: Tensor, run: Run) -> tuple[float, float]:
    """Of a sample of answers from the same history by itself: largest difference, least cosine."""
    alone = HistoryEncoder(steps, items, max_history=MAX_HISTORY, max_bytes=0)
    sample = random.Random(1).sample(run.answers, min(SAMPLE, len(run.answers)))
    pairs = [(alone.encode(rows).float().cpu(), state) for rows, state in sample]
    worst = max((one - other).abs().max().item() for one, other in pairs)
    return worst, min(torch.cosine_similarity(a, b, dim=0).item() for a, b in pairs)


def load_steps(shape: str, folder: Path) -> IncrementalModel:
    """The User LLM as the app would run it."""
    if shape == "books":
        return TransformersIncremental(new_user_llm(USER_LLMS[shape]), MAX_HISTORY)
    make_folder(folder / "model")
    return load_user_model(folder / "model", cache=folder).steps


def table(
    steps: IncrementalModel, items: Tensor, seconds: float, numbers: Sequence[int] = VISITORS
) -> list[dict[str, float]]:
    """Print the table and return its lines."""
    print(
        f"{'visitors':>8}{'alone /s':>10}{'median ms':>11}{'p95 ms':>9}"
        f"{'batched /s':>12}{'median ms':>11}{'p95 ms':>9}{'p95/median':>12}{'speed-up':>10}"
    )
    lines = []
    for visitors in numbers:
        results = []
        for max_batch in (1, MAX_BATCH):
            encoder = HistoryEncoder(
                steps, items, max_history=MAX_HISTORY, max_batch=max_batch, prepare=False
            )
            results.append(visits(encoder, visitors, seconds))
        (slow, *alone), (fast, *batched) = (result.line() for result in results)
        worst, cosine = worst_difference(steps, items, results[1])
        print(
            f"{visitors:8}{slow:10.1f}{alone[0]:11.1f}{alone[1]:9.1f}"
            f"{fast:12.1f}{batched[0]:11.1f}{batched[1]:9.1f}"
            f"{batched[1] / batched[0]:12.2f}{fast / slow:10.2f}"
            f"   largest difference {worst:.1e}, least cosine {cosine:.5f}",
            flush=True,
        )
        values = (slow, *alone, fast, *batched, cosine)
        names = ("alone", "alone_median", "alone_p95", "batched", "batched_median", "batched_p95")
        names = (*names, "cosine")
        lines.append({"visitors": visitors} | dict(zip(names, values, strict=True)))
    return lines


def memory(steps: IncrementalModel, items: Tensor) -> None:
    """Print the resident memory at every tenth of 10,000 clicks of 50 visitors."""
    encoder = HistoryEncoder(steps, items, max_history=MAX_HISTORY, prepare=False)
    sizes = []
    for _ in range(10):
        visits(encoder, 50, 1e9, CLICKS_FOR_MEMORY // 50 // 10)
        sizes.append(psutil.Process().memory_info().rss / 2**20)
    print(f"MiB in {CLICKS_FOR_MEMORY:,} clicks: " + " ".join(f"{size:,.0f}" for size in sizes))


def plot(lines: list[dict[str, float]], path: Path) -> None:
    """Clicks a second and latency against the number of visitors."""
    import matplotlib  # noqa: PLC0415  only for those who draw

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    visitors = [line["visitors"] for line in lines]
    _, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for name, label in (("alone", "one at a time"), ("batched", "batched")):
        left.plot(visitors, [line[name] for line in lines], "o-", label=label)
        median = [line[f"{name}_median"] for line in lines]
        (drawn,) = right.plot(visitors, median, "o-", label=f"{label}, median")
        slow = [line[f"{name}_p95"] for line in lines]
        right.plot(visitors, slow, ":", color=drawn.get_color(), label="95th percentile")
    left.set(xlabel="visitors who click at once", ylabel="clicks a second")
    right.set(xlabel="visitors who click at once", ylabel="ms a click")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend()
    pyplot.tight_layout()
    pyplot.savefig(path)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=USER_LLMS, default="books", help="%(default)s")
    parser.add_argument("--seconds", type=float, default=10, help="of each run; %(default)s")
    parser.add_argument("--plot", type=Path, help="draw the table there (needs matplotlib)")
    options = parser.parse_args()
    print(machine_line(f"shape {options.shape}"))
    with tempfile.TemporaryDirectory() as name:
        steps = load_steps(options.shape, Path(name))
        items = torch.randn(
            NUM_ITEMS,
            USER_LLMS[options.shape].hidden_size,
            generator=torch.Generator().manual_seed(3),
        )
        lines = table(steps, items, options.seconds)
        memory(steps, items)
    if options.plot:
        plot(lines, options.plot)


if __name__ == "__main__":
    main()
