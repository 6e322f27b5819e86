"""What python -m app.ingest does once its options are read."""

import argparse
import sys

from app.catalog.address import Address, Place
from app.catalog.opening import create_catalog, open_catalog
from app.errors import IngestError
from app.ingest.columns import INTERACTION_COLUMNS, ITEM_COLUMNS
from app.ingest.export import export_pair
from app.ingest.formats import Files, Source, sources_of
from app.ingest.preview import describe, preview
from app.ingest.report import report, unmet_ids
from app.ingest.run import run_import
from app.ingest.tables import parse_mapping
from app.picture_files import folder_note
from hllm.tables import CsvFormat


def run_format(args: argparse.Namespace) -> int:
    """Import files of a format."""
    if not args.items and not args.interactions:
        raise IngestError("Nothing to import: name files with --items and --interactions.")
    if args.k_core < 0:
        raise IngestError(f"--k-core {args.k_core} must be 0 (off) or more.")
    if args.used_items and not args.interactions:
        raise IngestError("--used-items belongs to interactions: give it with --interactions.")
    sources = sources_of(args.command, _files(args))
    _say(f"format: {args.command}")
    for source in sources:
        _say(describe(preview(source)))
    if args.dry_run:
        _say("Dry run: nothing was written.")
        return 0
    _check_place(args.catalog, sources)
    with create_catalog(args.catalog, args.name) as catalog, catalog.importing():
        if covers := getattr(args, "covers", None):
            catalog.note_covers(folder_note(covers))
        summary = run_import(
            catalog,
            sources,
            k_core=args.k_core,
            replace=args.replace,
            used_items=args.used_items,
        )
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


def _check_place(catalog: Place, sources: list[Source]) -> None:
    if isinstance(catalog, Address):  # interactions without their items are said at the end
        return
    if not catalog.exists() and not any(source.kind == "items" for source in sources):
        raise IngestError(
            f"The catalogue {catalog} does not exist yet, and interactions need items: "
            "import the items first, or with them (--items)."
        )


def run_export(args: argparse.Namespace) -> int:
    """Write a catalogue as a csv pair."""
    with open_catalog(args.catalog) as catalog:
        counts = export_pair(catalog, args.output, compress=args.gzip, spreadsheet=args.spreadsheet)
    _say(f"{args.output}: {counts.items:,} items, {counts.interactions:,} interactions")
    if counts.formulas and args.spreadsheet:
        _say(f"{counts.formulas:,} cells begin with an apostrophe now: do not train on these files")
    elif counts.formulas:
        _say(
            f"{counts.formulas:,} cells begin with =, +, - or @, which a spreadsheet takes for "
            "formulas: to open the files in one, export them with --spreadsheet"
        )
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Say whether a catalogue is damaged."""
    with open_catalog(args.catalog) as catalog:
        catalog.check()
    _say(f"{args.catalog}: whole")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
