"""Write a catalogue as the csv pair that training reads: items.csv and interactions.csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from app.catalog import Catalog
from app.errors import IngestError
from hllm.atomic import atomic_text

FIRST_COLUMNS = ("title", "creator", "categories", "tags", "year", "description")


def export_pair(catalog: Catalog, folder: Path, *, compress: bool = False) -> tuple[int, int]:
    """Write both files; an interrupted export leaves older ones untouched.

    The columns of items.csv are the fields of Catalog.iter_texts, so that training sees the texts
    that serving sees.

    Returns:
        Numbers of items and of interactions.

    Raises:
        IngestError: the folder cannot be written, or the catalogue is empty.
    """
    if not catalog.num_items:
        raise IngestError(f"The catalogue {catalog.path} has no items: import some first.")
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
        num_items = _write(folder / f"items{ending}", ["item_id", *columns], rows)
        rows = (
            (item_id, user_id, timestamp if isinstance(timestamp, int) else f"{timestamp:f}")
            for user_id, item_id, timestamp in catalog.iter_interactions()
        )
        header = ["item_id", "user_id", "timestamp"]
        num_interactions = _write(folder / f"interactions{ending}", header, rows)
    except OSError as error:
        raise IngestError(
            f"{folder} cannot be written ({error}): choose another --output or free some space."
        ) from error
    return num_items, num_interactions


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    count = 0
    with atomic_text(path) as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in tqdm(rows, desc=path.name, unit="rows", unit_scale=True, disable=None):
            writer.writerow(row)
            count += 1
    return count
