"""What python -m app.events does: from the file of events to a csv file or a picture."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator

from app.catalog.event_reader import COLUMNS
from app.catalog.opening import open_catalog, open_event_reader
from app.csv_writer import CsvWriter
from app.errors import CatalogError
from app.events.plot import ENDINGS, draw, html_of
from app.render import plural
from app.scoreboard import HIT_RANK
from hllm.atomic import atomic_text


def run_export(args: argparse.Namespace) -> int:
    """Write all events as a csv file."""
    open_catalog(args.catalog).close()
    kinds: Counter[str] = Counter()

    def rows() -> Iterator[tuple[object, ...]]:
        for row in open_event_reader(args.catalog).rows():
            kinds[row.kind] += 1
            yield row.cells()

    write = CsvWriter(escapes=args.spreadsheet)
    count = write(args.output, COLUMNS, rows())
    parts = ", ".join(f"{number:,} {kind}" for kind, number in sorted(kinds.items()))
    sys.stdout.write(f"{args.output}: {plural(count, 'row')}{': ' + parts if parts else ''}\n")
    if write.formulas and not args.spreadsheet:
        sys.stdout.write(
            f"{write.formulas:,} cells begin with =, +, - or @, which a spreadsheet takes for "
            "formulas: to open the file in one, export it with --spreadsheet\n"
        )
    return 0


def run_plot(args: argparse.Namespace) -> int:
    """Draw the blind tests and the scoreboard."""
    ending = args.output.suffix.lower()
    if ending not in ENDINGS:
        raise CatalogError(f"{args.output} must end in {' or '.join(ENDINGS)}.")
    with open_catalog(args.catalog) as catalog:
        name = catalog.name
    reader = open_event_reader(args.catalog)
    picture, summary = draw(name, reader.blind_counts(), reader.pick_sums(HIT_RANK))
    with atomic_text(args.output) as file:
        file.write(html_of(name, picture) if ending == ".html" else picture)
    sys.stdout.write("\n".join([*summary, str(args.output), ""]))
    return 0
