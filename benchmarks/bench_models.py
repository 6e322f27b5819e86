"""The built-in models in every precision: a click, an item that is typed in, and the memory.

    python benchmarks/bench_models.py [--model assets/books/smollm2 ...] [--repeats 30]

Each model and precision in a process of its own, after one that has made its graphs. "click" is
Recommender.recommend on a 50th item with the 49 before it known, "whole" the User LLM reading all
50 again, as the reference does on every click. "typed" is Recommender.new_item on the text of a
book as long as the built-in ones, in the precision that the Item LLM has here, which "of items"
names; "first" is the same with the Item LLM still to be loaded. "private" is memory that is not a
mapped file, "peak" includes mapped files: all that is timed is loaded, the page is not.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.books.facts import load_books
from app.catalog.items import text_fields
from benchmarks.measure import machine_line, median_ms, status_mib, timed
from benchmarks.shapes import precisions
from hllm.model_folder import ModelFolder
from hllm.recommend import Recommender, load_hllm
from hllm.serving.item_model import ItemModel

ROOT = Path(__file__).resolve().parents[1]
BUILT_IN = (ROOT / "assets/books/model", ROOT / "assets/books/smollm2")
HISTORY = 50
WARM = "BENCH_WARM"  # in the environment of a process whose graphs are made


def click_ms(recommender: Recommender, repeats: int) -> tuple[float, float]:
    """Medians of a click and of reading its whole history, for histories nobody had before."""
    drawn = random.Random(1)
    clicks, wholes = [], []
    for _ in range(repeats):
        history = drawn.sample(recommender.item_ids, HISTORY)
        recommender.recommend(history[:-1], top_k=10)
        clicks.append(timed(partial(recommender.recommend, history, top_k=10))[0])
        wholes.append(timed(partial(recommender.read_whole, history))[0])
    return statistics.median(clicks) * 1e3, statistics.median(wholes) * 1e3


def measure(model: Path, precision: str, cache: Path, repeats: int) -> None:
    """One line of the table, measured in this process."""
    books = [
        text_fields(book.as_item()) | {"title": f"{book.title}, retold"} for book in load_books()
    ]
    if WARM not in os.environ:
        load_hllm(model, precision=precision, cache=cache).new_item(books[0])
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {WARM: "1"})
    load_s, recommender = timed(lambda: load_hllm(model, precision=precision, cache=cache))
    click, whole = click_ms(recommender, repeats)
    first_s, _ = timed(lambda: recommender.new_item(books[0]))
    texts = iter(books[1:])
    typed = median_ms(lambda: recommender.new_item(next(texts)), repeats)
    of_items = ItemModel(ModelFolder(model), cache=cache).precision
    print(
        f"{model.name:10}{precision:6}{recommender.precision:>9}{load_s:8.1f}{click:10.1f}"
        f"{whole:10.1f}{of_items:>10}{first_s:9.2f}{typed:10.0f}"
        f"{status_mib('RssAnon'):13,.0f}{status_mib('VmHWM'):10,.0f}",
        flush=True,
    )


def main() -> None:
    """Command line: see --help."""
    if sys.argv[1:2] == ["line"]:
        model, precision, cache, repeats = sys.argv[2:]
        measure(Path(model), precision, Path(cache), int(repeats))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", default=BUILT_IN, help="model folders")
    parser.add_argument("--repeats", type=int, default=30, help="clicks that are timed")
    options = parser.parse_args()
    print(machine_line(f"history {HISTORY}"))
    print(
        f"{'model':10}{'asked':6}{'answers':>9}{'load s':>8}{'click ms':>10}{'whole ms':>10}"
        f"{'of items':>10}{'first s':>9}{'typed ms':>10}{'private MiB':>13}{'peak MiB':>10}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as cache:
        for model in options.model:
            for precision in ("auto", *precisions()):
                command = [sys.executable, __file__, "line", str(model), precision, cache]
                subprocess.run([*command, str(options.repeats)], check=True)


if __name__ == "__main__":
    main()
