"""A click in every precision that this machine runs, at 1.1 billion parameters: time and memory.

    python benchmarks/bench_precision.py [--repeats 15] [--plot docs/images/click.svg]

A User LLM of TinyLlama-1.1B's shape with random weights; each precision in a process of its own.
"append" is a click on the 50th item with the 49 before it known, "full" the whole history again;
the peer is fp32's full pass, which is what the reference does on every click. "read" is the time to
read as many bytes as the weights have from memory, once; "private" is memory that is not a mapped
file, "peak" includes mapped files. The plot is of a click by the length of its history, in fp32 and
in the fewest bits.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from benchmarks.measure import machine_line, median_ms, status_mib, timed
from benchmarks.shapes import TINYLLAMA, make_folder, precisions
from hllm.serving.incremental import IncrementalModel
from hllm.serving.user_model import UserModel, load_user_model

HISTORY = 50
LENGTHS = (1, 5, 10, 20, 50, 100, 200)  # of the plot
WIDTH = TINYLLAMA.hidden_size
# With their scales.
BITS_OF_WEIGHTS = {"fp32": 32, "bf16": 16, "int8": 8.25, "int4": 4.25, "nf4": 4.13}


def speed_of(folder: Path, cache: Path, precision: str, repeats: int) -> None:
    """One line of the table, measured in this process."""
    load_user_model(folder, precision, cache=cache)  # a graph is made once, not at every start
    if precision.startswith("int"):
        sys.stdout.flush()
        if os.environ.get("BENCH_WARM") != "1":  # again, so that making it is not in the memory
            os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"BENCH_WARM": "1"})
    load_s, user = timed(lambda: load_user_model(folder, precision, cache=cache))
    items = torch.randn(HISTORY, WIDTH, generator=torch.Generator().manual_seed(1))
    memory, _ = user.steps.extend(None, items)
    append = median_ms(lambda: user.steps.extend(memory[:-1], items[-1:]), repeats)
    full = median_ms(lambda: user.steps.extend(None, items), max(3, repeats // 3))
    private, peak = status_mib("RssAnon"), status_mib("VmHWM")  # before there is a probe
    read = read_ms(user, precision)
    print(
        f"{precision:10}{append:11.1f}{full:10.1f}{read:9.1f}{append / read:13.2f}{load_s:8.1f}"
        f"{private:13,.0f}{peak:10,.0f}",
        flush=True,
    )


def read_ms(user: UserModel, precision: str) -> float:
    """Time to read the weights' bytes once from memory, with all threads: the best of several."""
    count = int(user.num_parameters * BITS_OF_WEIGHTS[precision] / 8)
    block = torch.ones(min(count, 1 << 29) // 4)
    best = min(median_ms(block.sum, 3) for _ in range(3))
    return best * count / (4 * len(block))


def lengths_of(folder: Path, cache: Path, precision: str, repeats: int) -> None:
    """Milliseconds of an append and of a full pass at each of LENGTHS, as lines of JSON."""
    steps = load_user_model(folder, precision, cache=cache).steps
    for length, append, full in click_times(steps, LENGTHS, WIDTH, repeats):
        line = {"precision": precision, "length": length, "append": append, "full": full}
        print(json.dumps(line), flush=True)


def click_times(
    steps: IncrementalModel, lengths: Sequence[int], width: int, repeats: int
) -> Iterator[tuple[int, float, float]]:
    """Each length of a history, with the milliseconds of an append and of a full pass."""
    items = torch.randn(max(lengths), width, generator=torch.Generator().manual_seed(1))
    memory, _ = steps.extend(None, items)
    for length in lengths:
        new, past = items[length - 1 : length], memory[: length - 1] if length > 1 else None
        append = median_ms(lambda past=past, new=new: steps.extend(past, new), repeats)
        whole = items[:length]
        full = median_ms(lambda whole=whole: steps.extend(None, whole), max(3, repeats // 3))
        yield length, append, full


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Latency of a click against the length of the history."""
    import matplotlib  # noqa: PLC0415  only for those who draw

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    _, axes = pyplot.subplots(figsize=(7, 4))
    for number, precision in enumerate(dict.fromkeys(line["precision"] for line in lines)):
        own = [line for line in lines if line["precision"] == precision]
        for name, style, label in (("full", "o:", "whole history"), ("append", "o-", "one item")):
            axes.plot(
                [line["length"] for line in own],
                [line[name] for line in own],
                style,
                color=f"C{number}",
                markersize=4,
                label=f"{precision}, {label}",
            )
    axes.set(xlabel="items in the history", ylabel="ms a click", yscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    pyplot.tight_layout()
    pyplot.savefig(path)


def speed(repeats: int, picture: Path | None) -> None:
    """Print the table of speeds; draw latency against length where a path for it is given."""
    print(machine_line(f"history {HISTORY}"))
    print(
        f"{'precision':10}{'append ms':>11}{'full ms':>10}{'read ms':>9}{'append/read':>13}"
        f"{'load s':>8}{'private MiB':>13}{'peak MiB':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        make_folder(folder, max(LENGTHS))
        for precision in precisions():
            command = [sys.executable, __file__, "line", str(folder), name, precision]
            subprocess.run([*command, str(repeats)], check=True)
        if picture:
            lines = []
            for precision in (precisions()[0], precisions()[-1]):
                command = [sys.executable, __file__, "lengths", str(folder), name, precision]
                done = subprocess.run(
                    [*command, str(repeats)], check=True, stdout=subprocess.PIPE, text=True
                )
                print(done.stdout, end="", flush=True)
                lines += map(json.loads, done.stdout.splitlines())
            plot(lines, picture)


def main() -> None:
    """Command line: see --help."""
    if sys.argv[1:2] in (["line"], ["lengths"]):
        kind, folder, cache, precision, repeats = sys.argv[1:]
        measure = speed_of if kind == "line" else lengths_of
        measure(Path(folder), Path(cache), precision, int(repeats))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=15, help="clicks that are timed")
    parser.add_argument("--plot", type=Path, help="draw latencies there (needs matplotlib)")
    options = parser.parse_args()
    speed(options.repeats, options.plot)


if __name__ == "__main__":
    main()
