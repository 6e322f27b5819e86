"""Look after a catalogue: python -m app.catalog backup CATALOG TARGET."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hllm.shell import CommandParser, command

_BACKUP = """\
Copy a catalogue and what its visitors saw and clicked (CATALOG.events.db), while the app runs.

The copy is one state of the catalogue, is checked to the last page, and replaces an older copy of
that name only when it is whole. To go back to it, stop the app, remove CATALOG-wal and CATALOG-shm
if they are there, and copy both files back under the catalogue's name. The copy opens as it is,
too: python app.py TARGET.
"""
_EXAMPLE = """\
example, every night:
  python -m app.catalog backup games.db /backups/games-$(date +%A).db
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = CommandParser(prog="python -m app.catalog", description="Look after a catalogue.")
    commands = parser.add_subparsers(dest="command", required=True)
    backup = commands.add_parser(
        "backup",
        help="copy a catalogue and its events, while the app runs",
        description=_BACKUP,
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backup.add_argument("catalog", type=Path, metavar="CATALOG", help="the catalogue to copy")
    backup.add_argument("target", type=Path, metavar="TARGET", help="file to make or to replace")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = build_parser().parse_args(argv)
    from app.catalog.backup import back_up  # noqa: PLC0415  the catalogue: not for --help

    with tqdm(unit="pages", unit_scale=True, desc=args.catalog.name, disable=None) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        files = back_up(args.catalog, args.target, tell)
    for path in files:
        sys.stdout.write(f"{path}: {path.stat().st_size / 1e6:,.1f} MB, whole\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
