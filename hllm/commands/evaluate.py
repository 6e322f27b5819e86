"""The command line of hllm.evaluate."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from hllm.atomic import atomic_path
from hllm.choices import BASELINES
from hllm.commands.dataclass_options import add_dataclass
from hllm.errors import DataError, did_you_mean
from hllm.shell import CommandParser, command
from hllm.split_options import SplitOptions
from hllm.tables import add_csv_options
from hllm.text import DEFAULT_KEYS


def add_data_options(parser: CommandParser) -> None:
    """Add what hllm.evaluate.read_data reads but for the split, which the models know."""
    add = parser.add_argument
    add("--interactions", required=True, type=Path, help="csv[.gz]: item_id,user_id,timestamp")
    add("--items", required=True, type=Path,
        help="csv[.gz]: item_id and text columns; every row is a candidate")  # fmt: skip
    for part in ("valid", "test"):
        add(f"--{part}-interactions", f"--{part}_interactions", type=Path, metavar="FILE",
            help=f"of a published split (--split files): its {part} file")  # fmt: skip
    add_csv_options(parser)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.evaluate",
        description="Rank each user's held-out item among all items of both files, those that "
        "nobody has touched too, and report recall, ndcg and MRR, by part of the users too, with "
        "confidence intervals. The split is the one that the models were trained with; by default "
        "the last interaction of a user is the test target, the one before it for validation.",
        epilog="Example: python -m hllm.evaluate --interactions games/interactions.csv.gz "
        "--items games/items.csv.gz --model runs/games --baselines popularity,minilm-decay "
        "--output results.json",
    )
    add = parser.add_argument
    add_data_options(parser)
    add("--model", action="append", default=[], type=Path, metavar="FOLDER",
        help="trained model, repeatable; the first is compared with every other")  # fmt: skip
    add("--baselines", default="", metavar="LIST",
        help=f"comma-separated; choose from {', '.join(BASELINES)}")  # fmt: skip
    add("--text-keys", metavar="LIST",
        help="columns that MiniLM reads; default: those that the first HLLM reads, or without one "
        f"those there are of {','.join(DEFAULT_KEYS)}")  # fmt: skip
    add("--phase", choices=("test", "valid"), default="test", help="default: %(default)s")
    add("--output", type=Path, metavar="FILE", help="also write the results as JSON")
    add("--max-users", type=int, metavar="N", help="evaluate a random sample of N users")
    add("--seed", type=int, default=0, help="of the sample and the bootstrap; default: 0")
    add("--batch-size", type=int, default=256, help="users scored at once; default: 256")
    add("--auc", type=int, default=0, metavar="N",
        help="also how often the target scores above each of N random unseen items")  # fmt: skip
    add("--device", help="cpu, cuda, ...; default: cuda if there is one")
    add("--bf16", action="store_true",
        help="evaluate HLLM in bfloat16, as the published numbers were (many ties)")  # fmt: skip
    add("--reference-compatible", action="store_true",
        help="as the reference: only items with interactions are candidates, repeated targets are "
        "misses, columns by position, typed csv cells, unstable sort by time")  # fmt: skip
    add_dataclass(parser, SplitOptions, {})
    # Nothing given: what the models were trained with.
    parser.set_defaults(**dict.fromkeys(field.name for field in fields(SplitOptions)))
    return parser


def _names(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    names = [name.strip() for name in options.baselines.split(",") if name.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        near = did_you_mean(unknown[0], BASELINES)
        parser.error(f"unknown baseline {unknown[0]!r}{near}: choose from {', '.join(BASELINES)}")
    if not names and not options.model:
        parser.error("nothing to evaluate: give --model FOLDER or --baselines LIST")
    for option, value in (("--max-users", options.max_users), ("--batch-size", options.batch_size)):
        if value is not None and value < 1:
            parser.error(f"{option} {value}: must be at least 1")
    for option, value in (("--seed", options.seed), ("--auc", options.auc)):
        if not 0 <= value < 2**31:
            parser.error(f"{option} {value}: must be from 0 to {2**31 - 1}")
    return names


def _check_replaceable(output: Path) -> None:
    """Make sure, before hours of work, that nothing but an earlier report is replaced."""
    if output.is_dir():
        raise DataError(f"{output} is a folder: give the name of a JSON file to write.")
    if not output.is_file() or not output.stat().st_size:
        return
    try:
        is_report = "models" in json.loads(output.read_text(encoding="utf-8"))
    except (ValueError, TypeError):
        is_report = False
    if not is_report:
        raise DataError(
            f"{output} is there and holds no results: give another --output, or remove it."
        )


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    baselines = _names(parser, options)
    if options.output:
        _check_replaceable(options.output)
    from hllm.evaluate import run  # noqa: PLC0415  torch takes seconds: not for --help
    from hllm.evaluation.report import format_report  # noqa: PLC0415  the same

    report = run(options, baselines)
    if options.output:
        with atomic_path(options.output) as temporary:
            temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(format_report(report) + "\n")
    return 0
