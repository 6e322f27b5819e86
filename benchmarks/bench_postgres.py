"""Time the same pages, filters and searches of one catalogue in SQLite and in PostgreSQL.

    python benchmarks/bench_postgres.py [--items 200000]

The catalogue of benchmarks/bench_catalog.py, in a temporary folder, is copied into a PostgreSQL
server that is started for this on another one (apt-get install postgresql; its settings are those
that Debian ships, but fsync is off). Each question is asked of both by turns, in one process on one
connection at a time; rows are compared, so that both answer the same.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.catalog import Catalog, Query
from app.catalog.address import Address
from app.catalog.opening import copy_into, open_catalog
from benchmarks.bench_catalog import PAGE, build, deep_cursor, queries
from benchmarks.measure import machine_line, timed
from tests.postgres import Postgres, find_programs

DEEP_PAGES = 40


def turns(catalogs: list[Catalog], query: Query, cursor: str | None, repeats: int) -> list[list]:
    """Milliseconds of each catalogue, asked by turns, sorted; the first call is left out."""
    found: list[list] = [[] for _ in catalogs]
    pages = [catalog.page(query, cursor=cursor, limit=PAGE) for catalog in catalogs]
    first, *others = [[item.item_id for item in page.items] for page in pages]
    assert all(ids == first for ids in others), query
    assert len({page.total for page in pages}) == 1, (query, [page.total for page in pages])
    for _ in range(repeats):
        for times, catalog in zip(found, catalogs, strict=True):
            seconds, _ = timed(lambda c=catalog: c.page(query, cursor=cursor, limit=PAGE))
            times.append(seconds * 1e3)
    return [sorted(times) for times in found]


def report(catalogs: list[Catalog], repeats: int) -> None:
    """Print the table."""
    print("| query | rows | SQLite median ms (p95) | PostgreSQL median ms (p95) |")
    print("|---|---|---|---|")
    for name, query in queries().items():
        for depth, pages in (("", 0), (", deep", DEEP_PAGES)):
            if pages and not name.startswith(("all", "category, by t", "43% word")):
                continue
            cursor = deep_cursor(catalogs[0], query, pages)
            rows = len(catalogs[0].page(query, cursor=cursor, limit=PAGE).items)
            cells = [
                f"{times[len(times) // 2]:.2f} ({times[int(len(times) * 0.95)]:.2f})"
                for times in turns(catalogs, query, cursor, repeats)
            ]
            print(f"| {name}{depth} | {rows} | {' | '.join(cells)} |", flush=True)
    anchors = [f"B{number:09d}" for number in range(0, 4800, 100)]
    for name, ask in (
        ("get 48 items by id", lambda catalog: catalog.get(anchors)),
        ("categories", lambda catalog: catalog.categories()),
    ):
        cells = []
        for catalog in catalogs:
            times = sorted(
                timed(lambda c=catalog, ask=ask: ask(c))[0] * 1e3 for _ in range(repeats)
            )
            cells.append(f"{times[len(times) // 2]:.2f} ({times[int(len(times) * 0.95)]:.2f})")
        print(f"| {name} | | {' | '.join(cells)} |")


def main() -> None:
    """Build, copy, time, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=200_000, help="%(default)s")
    parser.add_argument("--repeats", type=int, default=25, help="calls per query (%(default)s)")
    options = parser.parse_args()
    programs = find_programs()
    if programs is None:
        sys.exit("PostgreSQL's server is not installed: apt-get install postgresql")
    version = subprocess.check_output([programs / "postgres", "--version"], text=True).strip()
    print(machine_line(f"SQLite {sqlite3.sqlite_version}", version))
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory(prefix="hllm-postgres-") as home,
    ):
        path = Path(folder) / "bench.db"
        adding, indexing = build(path, options.items)
        print(
            f"SQLite: {options.items:,} items added in {adding:.0f} s, indexed in {indexing:.0f}, "
            f"{path.stat().st_size / 2**20:,.0f} MiB",
            flush=True,
        )
        server = Postgres(Path(home), programs)
        os.environ["PGPASSWORD"] = server.password
        server.start()
        try:
            address = Address.parse(server.new_database())
            started = time.perf_counter()
            copy_into(address, path)
            print(
                f"PostgreSQL: copied and indexed in {time.perf_counter() - started:.0f} s, "
                f"{server.size(address.name) / 2**20:,.0f} MiB",
                flush=True,
            )
            with Catalog.open(path) as file, open_catalog(address) as database:
                report([file, database], options.repeats)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
