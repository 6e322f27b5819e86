"""Look after a catalogue, or move it: python -m app.catalog --help."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from app.catalog.address import Address, is_address, place_of
from app.errors import CatalogError
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
_COPY = """\
Copy a catalogue file into a PostgreSQL database, from where several replicas of the app serve it.

The copy takes the place of the catalogue that is there when it is whole, not before: visitors see
one or the other, and a copy that was interrupted is repeated. Nobody else writes meanwhile. Events
are neither copied nor touched. The password is taken from PGPASSWORD or the file of PGPASSFILE.
"""
_COPY_EXAMPLE = """\
example:
  python -m app.catalog copy games.db postgresql://hllm@db.example.org/games
  python app.py --catalog postgresql://hllm@db.example.org/games --model runs/games
"""


def file_of(text: str) -> Path:
    """A catalogue's file.

    Raises:
        argparse.ArgumentTypeError: it is the address of a database.
    """
    if is_address(text):
        raise argparse.ArgumentTypeError(
            "the catalogue must be a file; of a database pg_dump makes the backups"
        )
    return Path(text)


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
    backup.add_argument("catalog", type=file_of, metavar="CATALOG", help="the catalogue to copy")
    backup.add_argument("target", type=file_of, metavar="TARGET", help="file to make or to replace")
    copy = commands.add_parser(
        "copy",
        help="copy a catalogue into a PostgreSQL database",
        description=_COPY,
        epilog=_COPY_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    copy.add_argument("catalog", type=file_of, metavar="CATALOG", help="the catalogue to copy")
    copy.add_argument(
        "target", type=place_of, metavar="ADDRESS", help="postgresql://user@host/database"
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = build_parser().parse_args(argv)
    return _copy(args) if args.command == "copy" else _back_up(args)


def _copy(args: argparse.Namespace) -> int:
    if not isinstance(args.target, Address):
        raise CatalogError(
            f"{args.target} is no address of a PostgreSQL database: write it like "
            "postgresql://user@host/database."
        )
    from app.catalog.opening import copy_into  # noqa: PLC0415  the catalogue: not for --help

    with tqdm(unit="rows", unit_scale=True, disable=None) as bar:
        step = ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal step
            if what != step:
                step = what
                bar.reset(total)
                bar.set_description(what)
            bar.update(done - bar.n)

        count = copy_into(args.target, args.catalog, tell)
    sys.stdout.write(f"{args.target}: {count:,} items, whole\n")
    return 0


def _back_up(args: argparse.Namespace) -> int:
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
