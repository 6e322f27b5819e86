"""Search in large catalogues: exact float32 top-100 beside the approximate index of the app.

    python benchmarks/bench_search.py [--items 10000 100000 300000] [--width 2048] [--plot FILE]

The embeddings are made up: groups of related items in 128 dimensions, spread over all dimensions,
with noise; a query lies between two items. One query at a time, as a click asks. Recall is the
share of the exact 100 best that are found. The filter allows every third item and excludes 20.
"memory" is what search holds beside the memory-mapped embeddings, against the float32 copy of exact
search.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import machine_line, timed
from hllm.serving.approximate_index import ApproximateIndex
from hllm.serving.index import ItemIndex
from hllm.store import ItemEmbeddings

TOP_K = 100
QUERIES = 40
LATENT = 128
GROUPS = 3_000


def embeddings(count: int, width: int) -> Tensor:
    """(N, D) float16; see above."""
    random = torch.Generator().manual_seed(5)
    groups = torch.randn(GROUPS, LATENT, generator=random)
    spread = torch.randn(LATENT, width, generator=random) / width**0.5
    noise = 0.35 * (LATENT / width) ** 0.5
    result = torch.empty(count, width, dtype=torch.float16)
    for start in range(0, count, 20_000):
        part = result[start : start + 20_000]
        members = groups[torch.randint(GROUPS, (len(part),), generator=random)]
        members = members + 0.5 * torch.randn(members.shape, generator=random)
        part.copy_(members @ spread + noise * torch.randn(part.shape, generator=random))
    return result


def searched(
    search: Callable[[Tensor], list], queries: Tensor
) -> tuple[list[float], list[set[int]]]:
    """Milliseconds of each query, the first repeated, and the rows found."""
    search(queries[0])
    times, found = [], []
    for query in queries:
        seconds, answer = timed(lambda q=query: search(q))
        times.append(seconds * 1e3)
        found.append({row for row, _ in answer})
    return times, found


def exactly(
    ids: list[str], vectors: Tensor, queries: Tensor, excluded: list[int], allowed: np.ndarray
) -> tuple[list[float], list[set[int]], list[set[int]]]:
    """The peer: milliseconds and rows without a filter, rows with one; its memory is given back."""
    index = ItemIndex(ids, vectors)
    times, best = searched(lambda q: index.search(q, TOP_K), queries)
    _, filtered = searched(lambda q: index.search(q, TOP_K, excluded, allowed), queries[:10])
    return times, best, filtered


def measure(count: int, width: int, folder: Path) -> tuple[str, tuple[int, float, float]]:
    """A line of the table, and (items, exact ms, approximate ms) for the plot."""
    path = folder / f"{count}.safetensors"
    ids = [str(n) for n in range(count)]
    ItemEmbeddings(ids, ["0" * 16] * count, embeddings(count, width), "0" * 16).save(path)
    vectors = ItemEmbeddings.load(path).vectors
    random = torch.Generator().manual_seed(6)
    pairs = torch.randint(count, (2, QUERIES), generator=random)
    units = F.normalize(vectors[pairs.flatten()].float(), dim=-1).unflatten(0, (2, QUERIES))
    queries = 0.6 * units[0] + 0.4 * units[1]
    allowed, excluded = np.arange(0, count, 3), list(range(0, 60, 3))
    exact_ms, best, best_allowed = exactly(ids, vectors, queries, excluded, allowed)
    build_s, _ = timed(lambda: ApproximateIndex(ids, vectors, path))
    load_s, index = timed(lambda: ApproximateIndex(ids, vectors, path))
    memory = next(folder.glob(f"{count}.*.faiss")).stat().st_size / (4 * count * width)
    times, found = searched(lambda q: index.search(q, TOP_K), queries)
    filtered_ms, found_allowed = searched(
        lambda q: index.search(q, TOP_K, excluded, allowed), queries[:10]
    )
    fast, slow = statistics.median(times), statistics.median(exact_ms)
    line = (
        f"{count:9,}{slow:10.1f}{fast:10.2f}{np.percentile(times, 95):8.2f}"
        f"{slow / fast:7.1f}x{recall(found, best):9.4f}{memory:8.1%}"
        f"{statistics.median(filtered_ms):12.2f}{recall(found_allowed, best_allowed):9.4f}"
        f"{build_s:9.0f}{load_s:8.2f}"
    )
    path.unlink()
    return line, (count, slow, fast)


def recall(found: list[set[int]], best: list[set[int]]) -> float:
    """Share of the best that were found."""
    return statistics.mean(len(a & b) / len(b) for a, b in zip(found, best, strict=True))


def plot(points: list[tuple[int, float, float]], path: Path) -> None:
    """Latency against the size of the catalogue."""
    import matplotlib  # noqa: PLC0415  only for those who draw

    matplotlib.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    counts, exact, fast = zip(*points, strict=True)
    _, axes = pyplot.subplots(figsize=(6, 3.5))
    axes.loglog(counts, exact, "o-", label="exact, float32")
    axes.loglog(counts, fast, "o-", label="approximate")
    axes.set(xlabel="items in the catalogue", ylabel="ms a query (median)")
    axes.grid(alpha=0.3)
    axes.legend()
    pyplot.tight_layout()
    pyplot.savefig(path)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000, 300_000])
    parser.add_argument("--width", type=int, default=2048, help="dimensions; default: 2048")
    parser.add_argument("--plot", type=Path, help="draw the two times (needs matplotlib)")
    options = parser.parse_args()
    print(machine_line(f"{options.width} dimensions", f"top {TOP_K}"))
    print(
        f"{'items':>9}{'exact ms':>10}{'approx ms':>10}{'p95':>8}{'ratio':>8}{'recall':>9}"
        f"{'memory':>8}{'filtered ms':>12}{'recall':>9}{'build s':>9}{'load s':>8}",
        flush=True,
    )
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for count in options.items:
            line, point = measure(count, options.width, Path(folder))
            print(line, flush=True)
            points.append(point)
    if options.plot:
        plot(points, options.plot)


if __name__ == "__main__":
    main()
