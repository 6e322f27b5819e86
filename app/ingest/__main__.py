"""Import data sets into a catalogue and export it for training: python -m app.ingest --help."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.catalog.address import place_of
from app.ingest.columns import INTERACTION_COLUMNS, ITEM_COLUMNS
from hllm.shell import CommandParser, command
from hllm.tables import add_csv_options

_DESCRIPTION = """\
Import a data set into a catalogue: the one SQLite file that the app opens, or a PostgreSQL database
that several replicas of it share (postgresql://user@host/database; the password in PGPASSWORD or in
the file of PGPASSFILE).

Files may be plain or .gz, of any size and in any encoding. Before anything is written, the import
says what it found; --dry-run stops there. Records that cannot be read go to CATALOG.rejects.jsonl
with line and reason; the others are imported. An import that was stopped goes on when the same
command is repeated, and repeating a finished one changes only what has changed.
What a corrected file no longer has is kept, and the command says so; --replace removes it.
"""
_EPILOG = """\
examples:
  python -m app.ingest amazon2018 --catalog games.db --items meta_Video_Games.json.gz \\
      --interactions Video_Games_5.json.gz
  python -m app.ingest amazon2014 --catalog books.db --items meta_Books.json.gz \\
      --interactions ratings_Books.csv --k-core 5
  python -m app.ingest hllm --catalog office.db --items items.csv.gz \\
      --interactions interactions.csv.gz
  python -m app.ingest pixelrec --catalog pixel.db --items item_info.csv \\
      --interactions Pixel200K.csv --covers covers/
  python -m app.ingest table --catalog films.db --items movies.parquet \\
      --map item_id=movieId,title=name,categories=genres --dry-run
  python -m app.ingest export --catalog games.db --output games_csv/
"""
_HELP = {
    "amazon2014": "Amazon Reviews 2014: metadata (a Python literal a line), ratings csv or reviews",
    "amazon2018": "Amazon Reviews 2018: metadata and reviews (JSON lines) or ratings csv",
    "amazon2023": "Amazon Reviews 2023: metadata and reviews (JSON lines) or ratings csv",
    "hllm": "HLLM's csv pair: items (item_id,title,...), interactions (item_id,user_id,timestamp)",
    "pixelrec": "PixelRec: item information csv, interactions csv, folder of covers",
    "table": "any csv, tsv or parquet, with --map where column names are not understood",
}


def build_parser() -> argparse.ArgumentParser:
    """The command line; its subcommands are app.ingest.formats.FORMATS, export and check."""
    parser = CommandParser(
        prog="python -m app.ingest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="FORMAT")
    for name in _HELP:
        _add_import(commands.add_parser(name, help=_HELP[name], description=_HELP[name]), name)
    export = commands.add_parser(
        "export", help="write a catalogue as the csv pair that python -m hllm.train reads"
    )
    export.add_argument("--catalog", type=place_of, required=True, help="the catalogue to read")
    export.add_argument("--output", type=Path, required=True, help="folder for the two files")
    export.add_argument("--gzip", action="store_true", help="write .csv.gz")
    export.add_argument(
        "--spreadsheet",
        action="store_true",
        help="for people: an apostrophe before what a spreadsheet takes for a formula",
    )
    check = commands.add_parser("check", help="read all of a catalogue and say if it is damaged")
    check.add_argument("--catalog", type=place_of, required=True, help="the catalogue to check")
    return parser


def _add_import(command: argparse.ArgumentParser, name: str) -> None:
    add = command.add_argument
    add("--catalog", type=place_of, required=True, help="the catalogue to make or to add to")
    add("--items", type=Path, nargs="+", default=[], help="files with the items", metavar="FILE")
    add(
        "--interactions",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="files with who used what when; items must be imported before or with them",
    )
    add("--name", default="", help="name of a new catalogue, for people (default: file name)")
    add("--dry-run", action="store_true", help="say what the files hold and write nothing")
    add(
        "--replace",
        action="store_true",
        help="remove what earlier versions of the same files brought and these no longer have",
    )
    add_csv_options(command)
    add(
        "--k-core",
        type=int,
        default=0,
        metavar="K",
        help="keep only interactions of items and users with at least K (one pass, as HLLM does)",
    )
    add(
        "--used-items",
        action="store_true",
        help="leave items out that no interaction names, after --k-core (HLLM's candidates)",
    )
    if name == "pixelrec":
        add("--covers", type=Path, help="folder with pictures named <item_id>.jpg, for the page")
    if name == "table":
        _add_table(command)


def _add_table(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--map",
        default="",
        metavar="FIELD=COLUMN,...",
        help=f"fields: {', '.join(ITEM_COLUMNS)}",
    )
    add(
        "--map-interactions",
        default="",
        metavar="FIELD=COLUMN,...",
        help=f"fields: {', '.join(INTERACTION_COLUMNS)}",
    )
    add("--covers", type=Path, help="folder with pictures named <item_id>.jpg, for the page")
    add(
        "--list-separator",
        default="|;,",
        metavar="CHARS",
        help="separators of tags or categories in a cell, tried in this order (default: |;,)",
    )


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = build_parser().parse_args(argv)
    from app.ingest.command import run_check, run_export, run_format  # noqa: PLC0415  pyarrow, pandas: not for --help

    return {"export": run_export, "check": run_check}.get(args.command, run_format)(args)


if __name__ == "__main__":
    sys.exit(main())
