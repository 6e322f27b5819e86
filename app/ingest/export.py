"""Write a catalogue as the csv pair that training reads: items.csv and interactions.csv."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.catalog import Catalog
from app.csv_writer import CsvWriter
from app.errors import IngestError

FIRST_COLUMNS = ("title", "creator", "categories", "tags", "year", "description")


@dataclass
class ExportCounts:
    """What was written: items, interactions, and cells that a spreadsheet takes for formulas."""

    items: int = 0
    interactions: int = 0
    formulas: int = 0


def export_pair(
    catalog: Catalog, folder: Path, *, compress: bool = False, spreadsheet: bool = False
) -> ExportCounts:
    """Write both files; an interrupted export leaves older ones untouched.

    The columns of items.csv are the fields of Catalog.iter_texts, so that training sees the texts
    that serving sees.

    Args:
        catalog: what is exported.
        folder: for the two files.
        compress: write .csv.gz.
        spreadsheet: put an apostrophe before formulas. These are then other texts than the
            catalogue's, so that such files are not for training.

    Raises:
        IngestError: the folder cannot be written, or the catalogue is empty.
    """
    if not catalog.num_items:
        raise IngestError(f"The catalogue {catalog.place} has no items: import some first.")
    ending = ".csv.gz" if compress else ".csv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        keys = dict.fromkeys(FIRST_COLUMNS, False)
        for _, texts in catalog.iter_texts():
            keys.update(dict.fromkeys(texts, True))
        columns = [key for key, is_used in keys.items() if is_used and key != "item_id"]
        rows: Iterable[Sequence[object]] = (
            [item_id, *(texts.get(column, "") for column in columns)]
            for item_id, texts in catalog.iter_texts()
        )
        write = CsvWriter(escapes=spreadsheet)
        counts = ExportCounts(items=write(folder / f"items{ending}", ["item_id", *columns], rows))
        rows = (
            (item_id, user_id, timestamp if isinstance(timestamp, int) else f"{timestamp:f}")
            for user_id, item_id, timestamp in catalog.iter_interactions()
        )
        header = ["item_id", "user_id", "timestamp"]
        counts.interactions = write(folder / f"interactions{ending}", header, rows)
    except OSError as error:
        raise IngestError(
            f"{folder} cannot be written ({error}): choose another --output or free some space."
        ) from error
    counts.formulas = write.formulas
    return counts
