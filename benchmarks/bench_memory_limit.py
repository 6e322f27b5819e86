"""The real app with a catalogue that is larger than the memory it may use.

    python benchmarks/bench_memory_limit.py [--items 1000000] [--memory-gib 1.25]

Makes a catalogue of short texts in SQLite, item embeddings (--width and, for the baseline, 384
dimensions in float16, as bench_search.py makes them up), and a small User LLM of that width with
random weights. Then, for each index, `python app.py` runs in a memory cgroup of --memory-gib, page
cache included and nothing swapped: once with nothing kept from before, so that it checks the files
and builds its indexes, and once more. No page of its files is in memory when it starts. A visitor
clicks as the page does, through its server function, --clicks times each without a filter, in a
category and above a price: the "first" after the start, and then "later" ones with other histories.
recall@100 is that of the endpoint `recommend` against exact search over the streamed embeddings,
outside the group. At the end the map of all items is opened.

rss and cache are the kernel's: anonymous memory, and pages of files, which make room when a page is
needed. Linux, root, cgroup v1. Needs requirements-scale.txt for lancedb, and disk: 9 KB an item.
"""

import argparse
import multiprocessing
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import numpy as np
import torch
import torch.nn.functional as F
from gradio_client import Client
from torch import Tensor
from transformers import LlamaConfig

from app.catalog import Catalog, ItemFilter
from benchmarks.bench_catalog import fill, synthetic_items
from benchmarks.bench_load import LONGEST
from benchmarks.bench_page import percentile
from benchmarks.bench_search import embeddings
from benchmarks.bench_start import ROOT
from benchmarks.measure import machine_line
from benchmarks.memory_group import MIB, MemoryGroup, forget_pages
from benchmarks.shapes import USER_LLMS, make_folder
from hllm.baselines.text_scorer import pool_history
from hllm.model_folder import ModelFolder
from hllm.serving.user_model import load_user_model
from hllm.store import BASELINE, EMBEDDINGS, ItemEmbeddings, sentence_fingerprint
from hllm.text import sentence_text, text_hash

BASELINE_WIDTH = 384
TOP_K = 100
QUERIES = 15  # histories whose answers are compared with exact search, with each filter
PART = 20_000
START_S = 1_800.0  # after which a start is given up
TEXT_KEYS = ("title",)
# The smallest category, and about half of the items.
FILTERS = {
    "all": ItemFilter(),
    "category": ItemFilter(category="Tools"),
    "price": ItemFilter(min_price=20.0),
}
Best = dict[str, list[list[set[str]]]]  # by filter: for each history the best of both models


def user_llm(width: int) -> LlamaConfig:
    """Two layers, as of the built-in books, as wide as the embeddings."""
    config = LlamaConfig(**USER_LLMS["books"].to_dict())
    config.hidden_size, config.intermediate_size = width, 2 * width
    config.num_attention_heads = config.num_key_value_heads = width // 64
    config.head_dim = 64
    return config


@dataclass(frozen=True)
class Files:
    """Where the catalogue, the model and both files of embeddings are."""

    folder: Path

    @property
    def catalog(self) -> Path:
        """The catalogue."""
        return self.folder / "catalog.db"

    @property
    def model(self) -> Path:
        """The model folder, with both files of embeddings in it."""
        return self.folder / "model"

    @property
    def all(self) -> list[Path]:
        """All files that the app reads of what was made here."""
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @property
    def indexes(self) -> list[Path]:
        """What the app keeps beside the embeddings."""
        return [*self.model.glob("*.lancedb"), *self.model.glob("*.faiss")]

    def indexes_mib(self) -> float:
        """What that takes on the disk."""
        files = [p for i in self.indexes for p in (i, *i.rglob("*")) if p.is_file()]
        return sum(path.stat().st_size for path in files) / MIB

    def delete_indexes(self) -> None:
        """For a start with nothing kept from before."""
        for index in self.indexes:
            shutil.rmtree(index) if index.is_dir() else index.unlink()


def make(files: Files, count: int, width: int) -> None:
    """Make all of it, outside any group."""
    short = (replace(item, description="", creator="", tags=()) for item in synthetic_items(count))
    fill(files.catalog, short)
    make_folder(files.model, max_history=50, user_config=user_llm(width))
    ids, hashes, sentence_hashes = [], [], []
    config = ModelFolder(files.model).config
    for item_id, fields in Catalog.open(files.catalog).iter_texts():
        ids.append(item_id)
        hashes.append(text_hash(config.item_text(fields)))
        sentence_hashes.append(text_hash(sentence_text(fields, TEXT_KEYS)))
    vectors, name = embeddings(count, width), ModelFolder(files.model).fingerprint
    ItemEmbeddings(ids, hashes, vectors, name).save(files.model / EMBEDDINGS)
    vectors, name = embeddings(count, BASELINE_WIDTH), sentence_fingerprint(TEXT_KEYS)
    for part in vectors.split(PART):
        part.copy_(F.normalize(part.float(), dim=-1))
    ItemEmbeddings(ids, sentence_hashes, vectors, name).save(files.model / BASELINE)


def histories(count: int, seed: int, number: int) -> list[list[str]]:
    """What a visitor has clicked after each click: an item more, and anew after LONGEST."""
    chance = random.Random(seed)
    found: list[list[str]] = []
    for place in range(number):
        before = found[-1] if place % LONGEST else []
        found.append([*before, f"B{chance.randrange(count):09d}"])
    return found


def best_of_all(folder: Path, count: int) -> Best:
    """The 100 best by exact search, for both models; reads both files of embeddings once."""
    files = Files(folder)
    asked = histories(count, seed=3, number=QUERIES)
    rows = [[int(item_id[1:]) for item_id in history] for history in asked]
    steps = load_user_model(files.model, "fp32").steps
    allowed = {name: _allowed(files.catalog, chosen, count) for name, chosen in FILTERS.items()}
    best: Best = {name: [[] for _ in asked] for name in FILTERS}
    for name in (EMBEDDINGS, BASELINE):
        stored = ItemEmbeddings.load(files.model / name, verify=False)
        inputs = [stored.vectors[chosen].float() for chosen in rows]
        with torch.inference_mode():
            users = (
                steps.read(inputs)
                if name == EMBEDDINGS
                else torch.stack([pool_history(history, "decay") for history in inputs])
            )
        scores = exact_scores(stored.vectors, users)
        for place, history in enumerate(rows):
            scores[place, history] = float("-inf")
        for which, mask in allowed.items():
            found = scores.masked_fill(~mask, float("-inf")).topk(TOP_K).indices.tolist()
            for place, chosen in enumerate(found):
                best[which][place].append({stored.item_ids[row] for row in chosen})
    return best


def exact_scores(vectors: Tensor, users: Tensor) -> Tensor:
    """(Q, N) cosines of users (Q, D) with vectors (N, D), part by part."""
    units = F.normalize(users.float(), dim=-1)
    return torch.cat(
        [units @ F.normalize(part.float(), dim=-1).T for part in vectors.split(PART)], dim=1
    )


def _allowed(catalog: Path, chosen: ItemFilter, count: int) -> Tensor:
    """(N,) whether a filter allows an item; ids are made of the rows."""
    if not chosen:
        return torch.ones(count, dtype=torch.bool)
    found = torch.zeros(count, dtype=torch.bool)
    filters = Catalog.open(catalog).filters
    matching = filters.matching(chosen)
    for numbers, ids in filters.item_numbers():
        found[[int(ids[at][1:]) for at in np.flatnonzero(np.isin(numbers, matching))]] = True
    return found


@contextmanager
def app_in(
    group: MemoryGroup, files: Files, data: Path, index: list[str]
) -> Iterator[tuple[str, float]]:
    """The app, ready, in a group, and the seconds it took.

    Raises:
        RuntimeError: what became of it instead, as a sentence.
    """
    forget_pages(files.all)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", f"--port={port}", f"--data-dir={data}", *index]
    command += [f"--catalog={files.catalog}", f"--model={files.model}", "--precision=fp32"]
    with (data / "log.txt").open("ab") as log:
        process = group.start(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        start, url = time.monotonic(), f"http://127.0.0.1:{port}"
        while not _is_ready(url):
            if process.poll() is not None:
                last = (data / "log.txt").read_text(errors="replace").strip().splitlines()[-1:]
                why = "killed: out of memory" if group.was_killed else f"ended: {last}"
                raise RuntimeError(f"{why}, after {time.monotonic() - start:.0f} s")
            if time.monotonic() - start > START_S:
                raise RuntimeError(f"not ready after {START_S:.0f} s")
            time.sleep(0.25)
        yield url, time.monotonic() - start
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


class Page:
    """A visitor's page: it calls the server functions as the scripts of the page do."""

    def __init__(self, url: str, session: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=300)
        components = self._client.get("/config").json()["components"]
        self._number = next(part["id"] for part in components if part["type"] == "html")
        self.session = session

    def __enter__(self) -> "Page":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def call(self, name: str, data: Any) -> Any:
        """What a function answers."""
        body = {"data": data, "component_id": self._number, "fn_name": name}
        body["session_hash"] = self.session[:11]
        found = self._client.post("/gradio_api/component_server/", json=body)
        if found.status_code != 200:
            raise RuntimeError(f"{name} was not answered: {found.text[:200]}")
        return found.json()


def click(url: str, count: int, seed: int, number: int, chosen: ItemFilter) -> list[float]:
    """Milliseconds of each of the clicks of a visitor, as bench_load's click."""
    session, times = f"{random.Random(seed).getrandbits(128):032x}", []
    asked = {"category": chosen.category, "min_price": chosen.min_price, "max_price": None}
    with Page(url, session) as page:
        for version, history in enumerate(histories(count, seed, number), start=1):
            question = {"history": history, "filter": asked, "example": False, "blind": ""}
            question |= {"what_if": None, "version": version, "session": session}
            start = time.perf_counter()
            found = page.call("answer", question)
            times.append((time.perf_counter() - start) * 1e3)
            if "columns" not in found:
                raise RuntimeError(f"a click was not answered: {found}")
    return times


def open_map(url: str) -> float:
    """Seconds until the map of all items is there."""
    start = time.perf_counter()
    with Page(url, "0" * 32) as page:
        while (found := page.call("open_map", {}))["state"] == "later":
            time.sleep(0.25)
    if found["state"] != "ready":
        raise RuntimeError(f"there is no map: {found['message']}")
    return time.perf_counter() - start


def recalls(url: str, count: int, best: Best) -> list[str]:
    """recall@100 of both models, with each filter."""
    client = Client(url, verbose=False)
    shares = []
    for name, chosen in FILTERS.items():
        found: list[list[float]] = []
        for history, wanted in zip(histories(count, 3, QUERIES), best[name], strict=True):
            answer = client.predict(
                history, TOP_K, chosen.category, chosen.min_price, None, api_name="/recommend"
            )
            lists = [{item["item_id"] for item in model["items"]} for model in answer["models"]]
            found.append([len(a & b) / len(b) for a, b in zip(lists, wanted, strict=True)])
        shares += [f"{statistics.mean(column):.4f}" for column in zip(*found, strict=True)]
    return shares


def measure(
    files: Files, count: int, limit: int, index: list[str], best: Best, clicks: int
) -> None:
    """Both starts of one index: prints what is seen as it is seen."""
    print(f"\n{' '.join(index) or 'without --index'}", flush=True)
    files.delete_indexes()
    with tempfile.TemporaryDirectory(dir=files.folder.parent) as name:
        data = Path(name)
        for what in ("first start", "second start"):
            with MemoryGroup(limit) as group:
                try:
                    with app_in(group, files, data, index) as (url, seconds):
                        print(f"  {what}: {seconds:.0f} s, {_memory(group)}", flush=True)
                        if what == "second start":
                            _ask(url, count, best, clicks)
                            print(f"  at the end: {_memory(group)}", flush=True)
                except RuntimeError as problem:
                    print(f"  {what}: {problem}; {_memory(group)}", flush=True)
                    print("    " + "\n    ".join(_log_end(data)), flush=True)
                    return
        print(f"  disk of the indexes: {files.indexes_mib():.0f} MiB", flush=True)


def _log_end(data: Path) -> list[str]:
    return (data / "log.txt").read_text(errors="replace").strip().splitlines()[-5:]


def _memory(group: MemoryGroup) -> str:
    now = group.now()
    return (
        f"rss {now['rss']:.0f} MiB (at most {group.peak['rss']:.0f}), cache {now['cache']:.0f} MiB "
        f"(at most {group.peak['cache']:.0f}), full {group.times_full:,} times"
    )


def _ask(url: str, count: int, best: Best, clicks: int) -> None:
    for round_number, when in enumerate(("first", "later")):
        for number, (name, chosen) in enumerate(FILTERS.items()):
            seed = 10 * round_number + number + 100
            times = click(url, count, seed, clicks, chosen)
            print(
                f"  {when} {clicks} clicks, {name}: median {statistics.median(times):.0f} ms, "
                f"p95 {percentile(times, 0.95):.0f} ms, the first {times[0]:.0f} ms",
                flush=True,
            )
    print(
        f"  recall@{TOP_K}, HLLM and baseline: {', '.join(recalls(url, count, best))}", flush=True
    )
    print(f"  map of all items: {open_map(url):.0f} s", flush=True)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1_000_000, help="%(default)s")
    parser.add_argument("--width", type=int, default=1024, help="dimensions; %(default)s")
    parser.add_argument("--memory-gib", type=float, default=1.25, help="%(default)s")
    parser.add_argument("--clicks", type=int, default=40, help="of each kind; %(default)s")
    parser.add_argument("--indexes", nargs="+", choices=("lancedb", "auto"))
    parser.add_argument("--folder", type=Path, help="keep what is made here, or use it again")
    options = parser.parse_args()
    limit = int(options.memory_gib * 2**30)
    with MemoryGroup(limit):  # before minutes of work: whether there can be one
        pass
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        files = Files(options.folder or Path(name) / "made")
        started = time.monotonic()
        if not files.folder.exists():
            files.folder.mkdir(parents=True)
            make(files, options.items, options.width)
        made = time.monotonic()
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # maps files, which must end
            best = pool.apply(best_of_all, (files.folder, options.items))
        sizes = {path.name: path.stat().st_size / MIB for path in files.all}
        print(machine_line(f"a group of {options.memory_gib} GiB"))
        print(
            f"{options.items:,} items: catalogue {sizes['catalog.db']:.0f} MiB, embeddings "
            f"{sizes[EMBEDDINGS]:.0f} and {sizes[BASELINE]:.0f} MiB; made in {made - started:.0f} "
            f"s, searched exactly in {time.monotonic() - made:.0f} s",
            flush=True,
        )
        for index in options.indexes or ("lancedb", "auto"):
            named = ["--index", index] if index != "auto" else []
            measure(files, options.items, limit, named, best, options.clicks)


if __name__ == "__main__":
    main()
