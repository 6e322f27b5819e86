"""Carry an import out: batch by batch, each in one transaction with the note how far it came."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.catalog import Catalog
from app.catalog.write import ImportMark, InteractionCounts, ItemCounts
from app.ingest.files import FileProgress, Record, raw_text, start_progress
from app.ingest.formats import Source
from app.ingest.rejects import Rejects, rejects_path

logger = logging.getLogger(__name__)

BATCH = {"items": 1_000, "interactions": 20_000}


@dataclass
class Summary:
    """What an import did."""

    items: ItemCounts = field(default_factory=ItemCounts)
    interactions: InteractionCounts = field(default_factory=InteractionCounts)
    num_rejects: int = 0
    rejects: Path | None = None
    removed_by_k_core: int = 0
    seconds: float = 0.0
    speeds: list[str] = field(default_factory=list)


def run_import(catalog: Catalog, sources: list[Source], *, k_core: int = 0) -> Summary:
    """Import files and bring the catalogue's index up to date.

    A run that was stopped goes on where it was when it is repeated; one that was finished reads
    everything again and changes what has changed.

    Args:
        catalog: where to.
        sources: from formats.sources_of.
        k_core: if not 0, keep only interactions of users and items with as many, at the end.

    Raises:
        IngestError: a file is damaged, or the rejects file cannot be written.
        CatalogError: the catalogue cannot be written.
    """
    summary = Summary()
    started = time.perf_counter()
    resume = {
        str(source.path.resolve()): catalog.resume_line(_key(source), source.fingerprint)
        for source in sources
    }
    path = rejects_path(catalog.path)
    with Rejects(path, resume) as rejects:
        for source in sources:
            _import_file(
                catalog, source, rejects, summary, after=resume[str(source.path.resolve())]
            )
        summary.num_rejects = rejects.count
        summary.rejects = path if rejects.count else None
    if k_core:
        summary.removed_by_k_core = catalog.keep_k_core(k_core)
    if catalog.is_stale:
        _reindex(catalog)
    summary.seconds = time.perf_counter() - started
    return summary


def _key(source: Source) -> str:
    return f"{source.kind} {source.path.resolve()}"


def _import_file(
    catalog: Catalog, source: Source, rejects: Rejects, summary: Summary, *, after: int
) -> None:
    if after:
        logger.info("%s: going on after line %d", source.path, after)
    progress = start_progress(source.path)
    started = time.perf_counter()
    num_records = 0
    fingerprint = source.fingerprint
    with tqdm(
        total=progress.total,
        unit=progress.unit,
        unit_scale=True,
        desc=source.path.name,
        disable=None,
    ) as bar:
        for batch, last_line, finished in _batches(source, progress, rejects, bar, after):
            mark = ImportMark(
                file=_key(source), fingerprint=fingerprint, line=last_line, finished=finished
            )
            # First the rejects, then the mark: a kill between the two repeats a reject's line.
            rejects.flush()
            if source.kind == "items":
                summary.items += catalog.add_items(batch, reindex=False, mark=mark)
            else:
                summary.interactions += catalog.add_interactions(batch, reindex=False, mark=mark)
            num_records += len(batch)
            bar.set_postfix_str(f"{num_records:,} {source.kind}", refresh=False)
    seconds = time.perf_counter() - started
    summary.speeds.append(
        f"{source.path.name}: {num_records:,} {source.kind} in {seconds:.1f} s "
        f"({num_records / max(seconds, 1e-9):,.0f}/s)"
    )


def _batches(
    source: Source, progress: FileProgress, rejects: Rejects, bar: Any, after: int
) -> Iterator[tuple[list[Any], int, bool]]:
    """Converted records in batches, each with its last line and whether it ends the file."""
    batch: list[Any] = []
    last_line = after
    num_read = 0
    for record in source.read(source.path, progress, after):
        num_read += 1
        converted = _converted(source, record, rejects)
        if converted is not None:
            batch.append(converted)
        last_line = record.line
        if num_read % BATCH[source.kind] == 0:
            bar.update(progress.done - bar.n)
            yield batch, last_line, False
            batch = []
    bar.update(progress.total - bar.n)
    yield batch, last_line, True


def _converted(source: Source, record: Record, rejects: Rejects) -> Any:
    converted, problem = source.convert_or_explain(record)
    if problem:
        rejects.add(str(source.path.resolve()), record.line, problem, raw_text(record))
    return converted


class _IndexProgress:
    """Shows the steps of a reindex on one bar."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar
        self.step = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        if what != self.step:
            self.step = what
            self.bar.reset(total)
            self.bar.set_description(what)
        self.bar.update(done - self.bar.n)


def _reindex(catalog: Catalog) -> None:
    with tqdm(unit="items", unit_scale=True, disable=None) as bar:
        catalog.reindex(_IndexProgress(bar))
