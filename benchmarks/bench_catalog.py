"""Time the pages, filters and searches of a large catalogue beside LIKE and OFFSET.

    python benchmarks/bench_catalog.py [--items 1000000]

Generates a catalogue of synthetic items (word frequencies follow Zipf's law; one word is in 43% of
the items and one in 50%) in a temporary folder, times each kind of query through Catalog.page, and
the same question as LIKE and OFFSET over the same items table, in the same run.
"""

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from app.catalog import Catalog, CatalogItem, Query
from benchmarks.measure import machine_line, times_ms

LIMIT_MS = 50
PAGE = 48
BATCH = 5_000
COMMON, HALF, RARE = "playstation", "wireless", "zymurgy"
CATEGORIES = ("Games", "Office", "Books", "Music", "Kitchen", "Garden", "Toys", "Tools")
SYLLABLES = ("ka", "ro", "mi", "ten", "sol", "vi", "dar", "lun", "pe", "gra", "bo", "ste", "in")
CJK = "東京物語日本世界文学春夏秋冬花鳥風月山川海空"


def vocabulary(size: int, seed: int) -> list[str]:
    """Made-up words of two to four syllables, most frequent first."""
    rng = random.Random(seed)
    words: dict[str, None] = {}
    while len(words) < size:
        words["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) + str(len(words) % 7)[:1]] = None
    return list(words)


def synthetic_items(num_items: int, seed: int = 7) -> Iterator[CatalogItem]:
    """Items with realistic text lengths: titles of 3 to 9 words, descriptions of 30 to 60."""
    rng = np.random.default_rng(seed)
    words = vocabulary(40_000, seed)
    chances = 1 / np.arange(2, len(words) + 2)
    chances /= chances.sum()
    for start in range(0, num_items, BATCH):
        size = min(BATCH, num_items - start)
        picks = rng.choice(len(words), size=(size, 70), p=chances)
        shape = rng.random((size, 6))
        for row in range(size):
            text = [words[pick] for pick in picks[row]]
            yield _item(start + row, text, shape[row], num_items)


def _item(number: int, text: list[str], shape: np.ndarray, num_items: int) -> CatalogItem:
    title = text[: 3 + int(shape[0] * 6)]
    body = text[9 : 39 + int(shape[1] * 30)]
    if shape[2] < 0.43:
        title.append(COMMON)
    body.append(HALF if shape[3] < 0.5 else "corded")
    if number % (num_items // 20 or 1) == 3:
        body.append(RARE)
    if number % 50 == 0:
        title.append(CJK[number % 17 : number % 17 + 4])
    return CatalogItem(
        item_id=f"B{number:09d}",
        title=" ".join(title).title(),
        description=" ".join(body),
        creator=" ".join(text[40:42]).title(),
        tags=tuple(text[42:45]),
        categories=(CATEGORIES[int(len(CATEGORIES) * shape[4] ** 2)],),
        year=None if shape[5] < 0.2 else 1950 + int(shape[5] * 75),
        price=None if shape[3] < 0.2 else round(3 + 97 * float(shape[1]) ** 2, 2),
        popularity=int(10 / (shape[0] * shape[1] + 1e-3)),
    )


def build(path: Path, num_items: int) -> tuple[float, float]:
    """Fill a catalogue with synthetic items; returns what `fill` does."""
    return fill(path, synthetic_items(num_items))


def fill(path: Path, items: Iterable[CatalogItem]) -> tuple[float, float]:
    """Fill a catalogue; returns the seconds for adding items and for the index."""
    catalog = Catalog.create(path, "benchmark")
    started = time.perf_counter()
    items = iter(items)
    while batch := list(islice(items, BATCH)):
        catalog.add_items(batch, reindex=False)
    added = time.perf_counter()
    catalog.reindex()
    catalog.close()
    return added - started, time.perf_counter() - added


def queries() -> dict[str, Query]:
    """One query per kind of work."""
    sorts = ("popularity", "title", "year", "newest")
    kinds = {f"all, by {sort}": Query(sort=sort) for sort in sorts}
    kinds |= {f"category, by {sort}": Query(category="Games", sort=sort) for sort in sorts}
    kinds |= {f"43% word, by {sort}": Query(search=COMMON, sort=sort) for sort in sorts}
    kinds |= {
        f"category + 50% word, by {sort}": Query(search=HALF, category="Toys", sort=sort)
        for sort in sorts
    }
    kinds |= {
        "43% word, by relevance": Query(search=COMMON, sort="relevance"),
        "50% and 43% word, by relevance": Query(search=f"{HALF} {COMMON}", sort="relevance"),
        "prefix of 1": Query(search="p"),
        "prefix of 3": Query(search="pla"),
        "prefix of 8 (43%)": Query(search="playstat"),
        "prefix of 5, many words": Query(search="karot", sort="title"),
        "43% word + prefix of 4": Query(search=f"{COMMON} wire"),
        "rare word": Query(search=RARE),
        "rare and 43% word": Query(search=f"{RARE} {COMMON}"),
        "50% words that never meet": Query(search=f"{HALF} corded"),
        "the same, by relevance": Query(search=f"{HALF} corded", sort="relevance"),
        "CJK pair": Query(search="東京"),
        "CJK part of 3": Query(search="本世界", sort="title"),
        "no match": Query(search="qqqqqqq"),
    }
    return kinds


def naive(path: Path, query: Query, skip: int) -> Callable[[], object]:
    """The same question with LIKE, ORDER BY and OFFSET."""
    order = {"title": "title", "year": "year IS NULL, year", "newest": "year IS NULL, year DESC"}
    where, values = ["1"], []
    for word in query.search.split():
        columns = ("title", "creator", "tags", "categories", "description")
        where.append("(" + " OR ".join(f"{column} LIKE ?" for column in columns) + ")")
        values += [f"%{word}%"] * len(columns)
    if query.category:
        where.append("categories LIKE ?")
        values.append(f'%"{query.category}"%')
    sql = (
        f"SELECT * FROM items WHERE {' AND '.join(where)} "
        f"ORDER BY {order.get(query.sort, 'popularity DESC')} LIMIT {PAGE} OFFSET {skip}"
    )

    def call() -> object:
        connection = sqlite3.connect(path)
        rows = connection.execute(sql, values).fetchall()
        connection.close()
        return rows

    return call


def deep_cursor(catalog: Catalog, query: Query, pages: int) -> str | None:
    """The cursor behind the given number of pages."""
    cursor = None
    for _ in range(pages):
        page = catalog.page(query, cursor=cursor, limit=500)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    return cursor


def report(path: Path, repeats: int, naive_repeats: int) -> int:
    """Print the table; returns the number of query kinds that are over the limit."""
    catalog = Catalog.open(path)
    print(f"{'query':36}{'rows':>6}{'median ms':>11}{'p95 ms':>9}{'LIKE/OFFSET ms':>16}")
    over = 0
    for name, query in queries().items():
        for depth, pages in (("", 0), (", deep", 40)):
            if pages and not name.startswith(("all", "category, by t", "43% word, by t")):
                continue
            cursor = deep_cursor(catalog, query, pages)
            rows = len(catalog.page(query, cursor=cursor, limit=PAGE).items)
            times = sorted(
                times_ms(lambda q=query, c=cursor: catalog.page(q, cursor=c, limit=PAGE), repeats)
            )
            peer = sorted(times_ms(naive(path, query, pages * 500), naive_repeats))
            p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
            over += p95 >= LIMIT_MS
            print(
                f"{name + depth:36}{rows:6}{times[len(times) // 2]:11.2f}{p95:9.2f}"
                f"{peer[len(peer) // 2]:16.1f}",
                flush=True,
            )
    anchors = [f"B{number:09d}" for number in range(0, 4800, 100)]
    times = sorted(times_ms(lambda: catalog.get(anchors), repeats))
    print(f"{'get 48 items by id':36}{48:6}{times[len(times) // 2]:11.2f}{times[-1]:9.2f}")
    times = sorted(times_ms(catalog.categories, repeats))
    print(f"{'categories':36}{'':6}{times[len(times) // 2]:11.2f}{times[-1]:9.2f}")
    return over


def main(argv: list[str] | None = None) -> int:
    """Build, time, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000, help="items to generate")
    parser.add_argument("--repeats", type=int, default=25, help="calls per query kind")
    parser.add_argument("--naive-repeats", type=int, default=1, help="calls of the slow peer")
    parser.add_argument("--catalog", type=Path, help="keep the catalogue here, or use it again")
    args = parser.parse_args(argv)
    print(machine_line(f"SQLite {sqlite3.sqlite_version}"))
    with tempfile.TemporaryDirectory() as folder:
        path = args.catalog or Path(folder) / "bench.db"
        if not path.exists():
            adding, indexing = build(path, args.items)
            print(
                f"{args.items:,} items: added in {adding:.0f} s, indexed in {indexing:.0f} s, "
                f"{path.stat().st_size / 2**20:,.0f} MiB"
            )
        over = report(path, args.repeats, args.naive_repeats)
    print(f"{over} kinds of query have a p95 of {LIMIT_MS} ms or more")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
