"""Carry an import out: batch by batch, each in one transaction with the note how far it came."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.catalog import Catalog
from app.catalog.imports import FileImport, ImportMark
from app.catalog.write import InteractionCounts, ItemCounts
from app.ingest.files import FileProgress, Record, raw_text, start_progress
from app.ingest.formats import Source
from app.ingest.rejects import Rejects, rejects_path

logger = logging.getLogger(__name__)

BATCH = {"items": 1_000, "interactions": 20_000}


@dataclass
class Summary:
    """What an import did.

    Attributes:
        by_file: what became of the interactions of each file.
        left_over: numbers of items and of interactions that only older versions of the files have.
        replaced: whether these were removed.
    """

    items: ItemCounts = field(default_factory=ItemCounts)
    interactions: InteractionCounts = field(default_factory=InteractionCounts)
    num_rejects: int = 0
    rejects: Path | None = None
    removed_by_k_core: int = 0
    unused_items: int = 0
    seconds: float = 0.0
    speeds: list[str] = field(default_factory=list)
    by_file: dict[Path, InteractionCounts] = field(default_factory=dict)
    left_over: tuple[int, int] = (0, 0)
    replaced: bool = False


def run_import(
    catalog: Catalog,
    sources: list[Source],
    *,
    k_core: int = 0,
    replace: bool = False,
    used_items: bool = False,
) -> Summary:
    """Import files and bring the catalogue's index up to date.

    A run that was stopped goes on where it was when it is repeated; one that was finished reads
    everything again and changes what has changed.

    Args:
        catalog: where to.
        sources: from formats.sources_of.
        k_core: if not 0, keep only interactions of users and items with as many, at the end.
        used_items: keep only items that have interactions, at the end.
        replace: remove what older versions of the files brought and these no longer have.

    Raises:
        IngestError: a file is damaged, or the rejects file cannot be written.
        CatalogError: the catalogue cannot be written.
    """
    summary = Summary()
    started = time.perf_counter()
    begun = [catalog.begin_import(_key(source), source.fingerprint) for source in sources]
    resume = {
        str(source.path.resolve()): file.after for source, file in zip(sources, begun, strict=True)
    }
    older = tuple(number for file in begun for number in file.older)
    path = rejects_path(catalog.place)
    with Rejects(path, resume) as rejects:
        for source, file in zip(sources, begun, strict=True):
            _import_file(catalog, source, rejects, summary, with_changes(file, older=older))
        summary.num_rejects = rejects.count
        summary.rejects = path if rejects.count else None
    # Only now: a record may have moved from one file to another.
    summary.left_over = catalog.finish_import(older, replace=replace)
    summary.replaced = replace
    if k_core:
        summary.removed_by_k_core = catalog.keep_k_core(k_core)
    if used_items:
        summary.unused_items = catalog.keep_used_items()
    if catalog.is_stale:
        _reindex(catalog)
    summary.seconds = time.perf_counter() - started
    return summary


def _key(source: Source) -> str:
    return f"{source.kind} {source.path.resolve()}"


def _import_file(
    catalog: Catalog, source: Source, rejects: Rejects, summary: Summary, file: FileImport
) -> None:
    after = file.after
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
        for batch, lines, last_line, finished in _batches(source, progress, rejects, bar, after):
            mark = ImportMark(
                file=_key(source),
                fingerprint=fingerprint,
                line=last_line,
                finished=finished,
                number=file.number,
                older=file.older,
                lines=lines,
            )
            # First the rejects, then the mark: a kill between the two repeats a reject's line.
            rejects.flush()
            if source.kind == "items":
                summary.items += catalog.add_items(batch, reindex=False, mark=mark)
            else:
                counts = catalog.add_interactions(batch, reindex=False, mark=mark)
                summary.interactions += counts
                by_file = summary.by_file
                by_file[source.path] = by_file.get(source.path, InteractionCounts()) + counts
            num_records += len(batch)
            bar.set_postfix_str(f"{num_records:,} {source.kind}", refresh=False)
    seconds = time.perf_counter() - started
    summary.speeds.append(
        f"{source.path.name}: {num_records:,} {source.kind} in {seconds:.1f} s "
        f"({num_records / max(seconds, 1e-9):,.0f}/s)"
    )


def _batches(
    source: Source, progress: FileProgress, rejects: Rejects, bar: Any, after: int
) -> Iterator[tuple[list[Any], list[int], int, bool]]:
    """Converted records in batches, with their lines, the last line read, and whether it ends."""
    batch: list[Any] = []
    lines: list[int] = []
    last_line = after
    num_read = 0
    for record in source.read(source.path, progress, after):
        num_read += 1
        converted = _converted(source, record, rejects)
        if converted is not None:
            batch.append(converted)
            lines.append(record.line)
        last_line = record.line
        if num_read % BATCH[source.kind] == 0:
            bar.update(progress.done - bar.n)
            yield batch, lines, last_line, False
            batch, lines = [], []
    bar.update(progress.total - bar.n)
    yield batch, lines, last_line, True


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
