"""Time a filter of the recommendations in a large catalogue, from the filter to the items found.

    python benchmarks/bench_filter.py [--items 700000] [--width 384] [--catalog FILE]

Generates the catalogue of bench_catalog.py and embeddings of bench_search.py, and asks the page's
baseline for 100 recommendations with each filter. Columns: what a filter costs at its first click
and at every other one (app.filter_rows), what the same rows cost when the item ids of the filter
are read and looked up at every click, and the search with and without the filter.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.catalog import Catalog, ItemFilter
from app.filter_rows import FilterRows
from benchmarks.bench_catalog import build
from benchmarks.bench_search import embeddings
from benchmarks.measure import machine_line, timed, times_ms
from hllm.baselines.text_recommender import SENTENCE_FINGERPRINT, TextBaseline
from hllm.serving.index import RowLookup
from hllm.store import ItemEmbeddings

TOP_K = 100
HISTORY = 20
FILTERS = {
    "largest category": ItemFilter(category="Games"),
    "smallest category": ItemFilter(category="Tools"),
    "price from 5": ItemFilter(min_price=5),
    "price 50 to 51": ItemFilter(min_price=50, max_price=51),
    "largest category from 5": ItemFilter(category="Games", min_price=5),
}


def ids_every_click(path: Path, item_filter: ItemFilter, lookup: RowLookup) -> list[int]:
    """The peer: ids of the allowed items, one by one to their rows."""
    query = "SELECT item_id FROM items WHERE 1"
    values: list[str | float] = []
    if item_filter.category:
        query += (
            " AND id IN (SELECT item FROM item_categories WHERE category = "
            "(SELECT id FROM categories WHERE name = ?))"
        )
        values.append(item_filter.category)
    for bound, sign in ((item_filter.min_price, ">="), (item_filter.max_price, "<=")):
        if bound is not None:
            query += f" AND price {sign} ?"
            values.append(bound)
    with closing(sqlite3.connect(path)) as connection:
        return lookup.rows(row[0] for row in connection.execute(query, values))


def report(path: Path, width: int, repeats: int) -> None:
    """Print the table."""
    catalog = Catalog.open(path)
    item_ids = [name for _, names in catalog.filters.item_numbers() for name in names]
    vectors = embeddings(len(item_ids), width)
    stored = ItemEmbeddings(item_ids, [""] * len(item_ids), vectors, SENTENCE_FINGERPRINT)
    baseline = TextBaseline(stored)
    lookup = RowLookup(item_ids)
    rows = FilterRows(catalog)
    prepare_ms = times_ms(lambda: rows.prepare(baseline), 1)[0]
    history = item_ids[: HISTORY * 50 : 50]

    def search_ms(item_filter: ItemFilter) -> float:
        allowed = rows.rows(item_filter, baseline) if item_filter else None
        found = [baseline.recommend(history, top_k=TOP_K, allowed=allowed) for _ in range(repeats)]
        return statistics.median(answer.search_ms for answer in found)

    print(f"{len(item_ids):,} items x {width}; prepared in {prepare_ms:.0f} ms at the start")
    print(f"search without a filter: {search_ms(ItemFilter()):.1f} ms")
    print(
        f"{'filter':26}{'items':>9}{'first ms':>10}{'later ms':>10}{'ids ms':>9}{'search ms':>11}"
    )
    for name, item_filter in FILTERS.items():
        first = times_ms(lambda f=item_filter: rows.rows(f, baseline), 1)[0]
        later = statistics.median(times_ms(lambda f=item_filter: rows.rows(f, baseline), repeats))
        by_ids = times_ms(lambda f=item_filter: ids_every_click(path, f, lookup), 3)
        allowed = rows.rows(item_filter, baseline)
        assert sorted(ids_every_click(path, item_filter, lookup)) == allowed.tolist()
        print(
            f"{name:26}{len(allowed):9,}{first:10.1f}{later:10.2f}{statistics.median(by_ids):9.0f}"
            f"{search_ms(item_filter):11.1f}",
            flush=True,
        )


def main(argv: list[str] | None = None) -> int:
    """Build, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=700_000, help="%(default)s")
    parser.add_argument("--width", type=int, default=384, help="of the embeddings: %(default)s")
    parser.add_argument("--repeats", type=int, default=15, help="clicks per filter: %(default)s")
    parser.add_argument("--catalog", type=Path, help="keep the catalogue here, or use it again")
    args = parser.parse_args(argv)
    print(machine_line())
    with tempfile.TemporaryDirectory() as folder:
        path = args.catalog or Path(folder) / "bench.db"
        if not path.exists():
            seconds, _ = timed(lambda: build(path, args.items))
            print(f"catalogue made in {seconds:.0f} s")
        report(path, args.width, args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
