"""Import data sets into a catalogue and export it for training: python -m app.ingest --help."""

import argparse
import io
import logging
import sys
from pathlib import Path

from app.catalog import Catalog
from app.errors import IngestError
from app.ingest.export import export_pair
from app.ingest.formats import FORMATS, Files, Source, sources_of
from app.ingest.preview import describe, preview
from app.ingest.report import report, unmet_ids
from app.ingest.run import run_import
from app.ingest.tables import INTERACTION_COLUMNS, ITEM_COLUMNS, parse_mapping
from hllm.errors import HLLMError
from hllm.tables import CsvFormat, add_csv_options

_DESCRIPTION = """\
Import a data set into a catalogue, the one SQLite file that the app opens.

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
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m app.ingest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="FORMAT")
    for name in FORMATS:
        _add_import(commands.add_parser(name, help=_HELP[name], description=_HELP[name]), name)
    export = commands.add_parser(
        "export", help="write a catalogue as the csv pair that python -m hllm.train reads"
    )
    export.add_argument("--catalog", type=Path, required=True, help="the catalogue to read")
    export.add_argument("--output", type=Path, required=True, help="folder for the two files")
    export.add_argument("--gzip", action="store_true", help="write .csv.gz")
    return parser


def _add_import(command: argparse.ArgumentParser, name: str) -> None:
    add = command.add_argument
    add("--catalog", type=Path, required=True, help="the catalogue to make or to add to")
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
    if name == "pixelrec":
        add("--covers", type=Path, help="folder with pictures named <item_id>.jpg")
    if name == "table":
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
        add("--covers", type=Path, help="folder with pictures named <item_id>.jpg")
        add(
            "--list-separator",
            default="|;,",
            metavar="CHARS",
            help="separators of tags or categories in a cell, tried in this order (default: |;,)",
        )


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 2 for an error, 130 if interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files and columns may hold anything
            stream.reconfigure(errors="backslashreplace")
    args = build_parser().parse_args(argv)
    try:
        if args.command == "export":
            return _export(args)
        return _import(args)
    except HLLMError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nInterrupted. All that was written is kept; repeat the command to go on.\n"
        )
        return 130


def _import(args: argparse.Namespace) -> int:
    if not args.items and not args.interactions:
        raise IngestError("Nothing to import: name files with --items and --interactions.")
    if args.k_core < 0:
        raise IngestError(f"--k-core {args.k_core} must be 0 (off) or more.")
    sources = sources_of(args.command, _files(args))
    _say(f"format: {args.command}")
    for source in sources:
        _say(describe(preview(source)))
    if args.dry_run:
        _say("Dry run: nothing was written.")
        return 0
    _check_place(args.catalog, sources)
    with Catalog.create(args.catalog, name=args.name) as catalog:
        summary = run_import(catalog, sources, k_core=args.k_core, replace=args.replace)
        _say(report(catalog, summary))
        if unmet := unmet_ids(catalog, summary):
            raise IngestError(unmet)
    return 0


def _files(args: argparse.Namespace) -> Files:
    return Files(
        items=tuple(args.items),
        interactions=tuple(args.interactions),
        item_map=parse_mapping(getattr(args, "map", ""), tuple(ITEM_COLUMNS)),
        interaction_map=parse_mapping(
            getattr(args, "map_interactions", ""),
            tuple(INTERACTION_COLUMNS),
            "--map-interactions",
        ),
        separators=getattr(args, "list_separator", "|;,"),
        covers=getattr(args, "covers", None),
        form=CsvFormat.parse(args.delimiter, args.quote, args.encoding),
    )


def _check_place(catalog: Path, sources: list[Source]) -> None:
    if not catalog.exists() and not any(source.kind == "items" for source in sources):
        raise IngestError(
            f"The catalogue {catalog} does not exist yet, and interactions need items: "
            "import the items first, or with them (--items)."
        )


def _export(args: argparse.Namespace) -> int:
    with Catalog.open(args.catalog) as catalog:
        num_items, num_interactions = export_pair(catalog, args.output, compress=args.gzip)
    _say(f"{args.output}: {num_items:,} items, {num_interactions:,} interactions")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
