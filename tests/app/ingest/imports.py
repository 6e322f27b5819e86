"""Write files of data sets and import them."""

import csv
import gzip

from app.catalog import Catalog, Query
from app.ingest.__main__ import main


def write(path, lines):
    """Write lines to a file, packed if its name says so."""
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def ingest(tmp_path, *arguments):
    """Run an import; returns the catalogue."""
    assert main([str(argument) for argument in arguments]) == 0
    return Catalog.open(tmp_path / "c.db")


def import_pair(files, *more, rows=None):
    """Import a csv pair as the fixture `files` names it; rows replace those of its interactions."""
    if rows is not None:
        lines = ["item_id,user_id,timestamp", *rows]
        files["interactions"].write_text("\n".join(lines) + "\n")
    arguments = ["hllm", "--catalog", files["catalog"], "--items", files["items"]]
    arguments += ["--interactions", files["interactions"], *more]
    return main([str(argument) for argument in arguments])


def content(path):
    """Everything that an import decides, without internal ids of later runs."""
    catalog = Catalog.open(path)
    return (
        list(catalog.iter_items()),
        sorted(catalog.iter_interactions()),
        catalog.data_version,
        [item.item_id for item in catalog.page(Query(search="title"), limit=500).items],
    )


def histories(tmp_path):
    """The interactions of c.db."""
    with Catalog.open(tmp_path / "c.db") as catalog:
        return list(catalog.iter_interactions())


def rows_of(files):
    """Item and time of all interactions: by time, and among equal times as they are stored."""
    with Catalog.open(files["catalog"]) as catalog:
        rows = [(item, time) for _, item, time in catalog.iter_interactions()]
    return sorted(rows, key=lambda row: row[1])


def items_of(files):
    """The items of all interactions, in that order."""
    return [item for item, _ in rows_of(files)]
