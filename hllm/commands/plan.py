"""The command line of hllm.training.plan."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from hllm.shell import CommandParser, command
from hllm.training.plan import (
    PAIRS,
    StepShape,
    largest_batch,
    memory,
    operations,
    traffic,
)

_GB = 1e9
_MOST = 1_000_000  # of anything that is counted here
_COLUMNS = (
    "GPUs", "weights", "moments", "gradients", "whole grad.", "gathered", "activations", "logits",
    "peak", "fits", "largest batch", "compute", "traffic", "sequences/s",
)  # fmt: skip


@dataclass(frozen=True)
class _Machine:
    """What is assumed of the GPUs."""

    memory_gb: float
    tflops: float
    efficiency: float
    gb_per_s: float


def count(text: str) -> int:
    """How many of something.

    Raises:
        ValueError: it is no whole number.
        argparse.ArgumentTypeError: it is less than 1, or more than a training can have.
    """
    if not 1 <= int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} must be from 1 to {_MOST:,}")
    return int(text)


def more_than_0(text: str) -> float:
    """A size or a rate.

    Raises:
        ValueError: it is no number.
        argparse.ArgumentTypeError: it is 0 or less, or has no end.
    """
    if not 0 < float(text) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be more than 0, and finite")
    return float(text)


def share(text: str) -> float:
    """A part of a whole.

    Raises:
        ValueError: it is no number.
        argparse.ArgumentTypeError: it is not above 0 and at most 1.
    """
    if more_than_0(text) > 1:
        raise argparse.ArgumentTypeError(f"{text} must be at most 1")
    return float(text)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.training.plan",
        description="Memory and throughput of sharded training (hllm.train --item_training full "
        "--shard True), computed from the shapes of the language models; no GPU is asked. GB are "
        "10^9 bytes on each GPU, at the peak of a step, without what CUDA itself takes (leave a "
        "tenth). Times are computed from peak numbers that you give: a bound, no measurement.",
    )
    parser.add_argument("--model", choices=list(PAIRS), default="1.1b", help="%(default)s")
    parser.add_argument("--gpus", type=count, nargs="+", default=[1, 8, 32, 128], help="how many")
    parser.add_argument("--batch_size", type=count, default=8, help="histories a GPU; %(default)s")
    parser.add_argument("--num_negatives", type=count, default=512, help="a GPU; %(default)s")
    parser.add_argument("--max_history", type=count, default=50, help="%(default)s")
    parser.add_argument(
        "--text_tokens", type=count, default=64, help="of an item on average; %(default)s"
    )
    parser.add_argument(
        "--keep_activations", action="store_true", help="without --gradient_checkpointing"
    )
    parser.add_argument("--fp32", action="store_true", help="without --precision bf16")
    parser.add_argument(
        "--gpu_memory", type=more_than_0, default=80, help="GB of a GPU; %(default)s"
    )
    parser.add_argument(
        "--tflops",
        type=more_than_0,
        default=989,
        help="peak of a GPU; %(default)s: bf16 of an H100 SXM",
    )
    parser.add_argument(
        "--efficiency", type=share, default=0.4, help="share of it that is assumed; %(default)s"
    )
    parser.add_argument(
        "--gb_per_s", type=more_than_0, default=50, help="network of a GPU; %(default)s: 400 Gbit/s"
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    machine = _Machine(options.gpu_memory, options.tflops, options.efficiency, options.gb_per_s)
    rows = [_row(_step(options, count), machine) for count in options.gpus]
    first = _step(options, 1)
    print(  # noqa: T201  the table is what is asked for
        f"{options.model} + {options.model}: {first.parameters / 1e9:.2f} billion parameters; a "
        f"step of a GPU: {first.batch_size} histories of {first.history} items, {first.items:,} "
        f"items, {first.item_tokens:,} tokens in {first.item_batches} batches"
    )
    widths = [max(len(row[place]) for row in [_COLUMNS, *rows]) for place in range(len(_COLUMNS))]
    for row in [_COLUMNS, *rows]:
        cells = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells))  # noqa: T201  the same
    return 0


def _step(options: argparse.Namespace, processes: int) -> StepShape:
    item, user = PAIRS[options.model]
    return StepShape(
        item,
        user,
        processes=processes,
        batch_size=options.batch_size,
        history=options.max_history,
        negatives=options.num_negatives,
        text_tokens=options.text_tokens,
        recomputed=not options.keep_activations,
        bf16=not options.fp32,
    )


def _row(step: StepShape, machine: _Machine) -> tuple[str, ...]:
    need = memory(step)
    compute_s = operations(step) / (machine.tflops * 1e12 * machine.efficiency)
    traffic_s = traffic(step) / (machine.gb_per_s * 1e9)
    fits = need.peak <= machine.memory_gb * _GB
    # At best, one hides behind the other.
    speed = step.processes * step.batch_size / max(compute_s, traffic_s)
    sizes = (
        need.weights, need.moments, need.gradients, need.whole_gradients, need.gathered,
        need.activations, need.logits, need.peak,
    )  # fmt: skip
    return (
        str(step.processes),
        *(f"{size / _GB:.1f}" for size in sizes),
        "yes" if fits else "no",
        str(largest_batch(step, machine.memory_gb * _GB)),
        f"{compute_s:.2f} s",
        f"{traffic_s:.2f} s",
        f"{speed:,.0f}" if fits else "-",
    )
