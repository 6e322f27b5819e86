r"""Everything that was never run on a GPU, in order of value, within a budget of time.

    python benchmarks/on_gpu.py --minutes 25 [--items data/games/items.csv \
        --interactions data/games/interactions.csv]

Every case runs in a process of its own and has a record in the output folder: what is done is not
run again, a training that was stopped at its share of the time goes on. What fails, or lacks a
package or data, is noted with the reason, and the next one begins. No case begins that is not
expected to end in time. No network is needed. The folder takes up to 15 GB: two models of 7 billion
parameters are written in NF4. At the end: results.json and results.md, which is printed.

    python benchmarks/on_gpu.py --device cpu --tiny --minutes 30

does the same with tiny models on a CPU, to try the command itself.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gpu.plan import CASES, PARTS, chosen
from benchmarks.gpu.process import execute
from benchmarks.gpu.report import write_report
from benchmarks.gpu.schedule import FAILED, path_of, read_record, run_cases
from benchmarks.gpu.settings import Settings
from hllm.shell import CommandParser, command


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python benchmarks/on_gpu.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, required=True, help="for all that is run now")
    names = f"comma-separated parts ({', '.join(PARTS)}), or single cases such as click/7b-nf4"
    add("--only", default="", metavar="LIST", help=names)
    add("--skip", default="", metavar="LIST", help="the same, left out")
    add("--output", type=Path, default=Path("runs/gpu"), help="default: %(default)s")
    add("--items", type=Path, help="items.csv of a data set to tune SmolLM2 x 2 on, e.g. Games")
    add("--interactions", type=Path, help="its interactions.csv")
    add("--text-keys", nargs="+", default=["title"], help="columns that are read; default: title")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="default: %(default)s")
    add("--tiny", action="store_true", help="tiny models, trainings of two steps")
    return parser


def _settings(parser: CommandParser, options: argparse.Namespace) -> Settings:
    if not 0 < options.minutes < float("inf"):
        parser.error(f"--minutes {options.minutes}: must be more than 0")
    if (options.items is None) != (options.interactions is None):
        parser.error("--items and --interactions belong together: give both")
    for path in filter(None, (options.items, options.interactions)):
        if not path.is_file():
            parser.error(f"{path} is not a file: export a data set with python -m app.ingest")
    if options.device == "cuda":
        import torch  # noqa: PLC0415  takes seconds: not for --help

        if not torch.cuda.is_available():
            parser.error("no CUDA device: --device cpu --tiny tries the command on a CPU")
    if options.device == "cpu" and not options.tiny:
        parser.error("--device cpu would take days: add --tiny")
    return Settings(
        output=str(options.output.resolve()),
        device=options.device,
        tiny=options.tiny,
        items=str(options.items.resolve()) if options.items else "",
        interactions=str(options.interactions.resolve()) if options.interactions else "",
        text_keys=tuple(options.text_keys),
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    settings = _settings(parser, options)
    only, skip = (list(filter(None, text.split(","))) for text in (options.only, options.skip))
    try:
        cases = chosen(only, skip)
    except ValueError as error:
        parser.error(str(error))
    settings.save()
    try:
        run_cases(
            cases,
            settings.folder,
            lambda case, limit_s: execute(settings, case, limit_s),
            options.minutes * 60,
        )
    finally:  # also after Ctrl-C
        sys.stdout.write(write_report(CASES, settings.folder) + "\n")
    records = [read_record(path_of(settings.folder, case)) for case in cases]
    return int(any(record is None or record.status == FAILED for record in records))


if __name__ == "__main__":
    sys.exit(main())
