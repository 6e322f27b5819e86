"""Export and plot what visitors saw and picked: python -m app.events --help."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.catalog.address import place_of
from hllm.shell import CommandParser, command

_DESCRIPTION = """\
What visitors of the page saw, clicked and picked, from the file beside the catalogue
(CATALOG.events.db). It is only read, and may be while the app runs.
"""
_EXPORT = """\
Write everything that is kept as one csv file, the oldest first, a row for each item:

  time       UTC
  session    random id of a browser tab
  kind       shown, clicked, scored (picked from the catalogue, for the scoreboard) or blind
             (picked from the list of a blind test)
  place      hllm, baseline, blind or popular: the list; browse, example or detail: elsewhere
  item_id    of the catalogue
  rank       place in the list, from 1
  hllm_rank, baseline_rank
             of what was scored: where each model had it before; empty: far behind
  team       of what was picked blind: the model that drafted it
  list_id, seed
             of the list, and of the blind test that it belongs to
"""
_PLOT = """\
Draw all blind tests (picks for each model, an exact 95% interval, the sign test, picks by
position) and the scoreboard (who was closer, hit@10 and MRR with 95% intervals) as one picture
that needs nothing else: OUT.svg, or a page with it, OUT.html.
"""
_EPILOG = """\
examples:
  python -m app.events export games.db events.csv
  python -m app.events export games.db events.csv --spreadsheet
  python -m app.events plot games.db events.html
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = CommandParser(
        prog="python -m app.events",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=raw,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    export = commands.add_parser(
        "export",
        help="write all of it as a csv file",
        description=_EXPORT,
        formatter_class=raw,
    )
    plot = commands.add_parser(
        "plot",
        help="draw the blind tests and the scoreboard",
        description=_PLOT,
        formatter_class=raw,
    )
    for each, output in ((export, "OUT.csv"), (plot, "OUT.svg|OUT.html")):
        each.add_argument("catalog", type=place_of, metavar="CATALOG", help="the catalogue")
        each.add_argument("output", type=Path, metavar=output, help="file to make or to replace")
    export.add_argument(
        "--spreadsheet",
        action="store_true",
        help="for people: an apostrophe before what a spreadsheet takes for a formula",
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = build_parser().parse_args(argv)
    from app.events.command import run_export, run_plot  # noqa: PLC0415  the catalogue: not for --help

    return {"export": run_export, "plot": run_plot}[args.command](args)


if __name__ == "__main__":
    sys.exit(main())
