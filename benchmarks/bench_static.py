"""The page without a server: its export, and bytes and times in a real browser.

    python benchmarks/bench_static.py [--items 20000] [--clicks 40]

Exports the built-in books, or so many items of bench_catalog with random embeddings (what is loaded
and computed does not depend on them), serves the files with python -m http.server, which compresses
nothing, and measures as bench_page does. Needs playwright and chromium.
"""

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from playwright.sync_api import Browser, sync_playwright

from app.catalog import Catalog
from app.opening import BASELINE_NAME, BUILT_IN_MODELS
from benchmarks.bench_catalog import build
from benchmarks.bench_page import clicks, first_visit, open_page
from benchmarks.bench_start import ROOT, wait_for_page
from benchmarks.measure import machine_line
from hllm.model_folder import ModelFolder
from hllm.store import EMBEDDINGS, ItemEmbeddings, sentence_fingerprint
from hllm.text import sentence_text, text_hash

KEYS = ("title", "creator")
SEARCHES = ("a", "th", "wor", "the w")


def make_large(folder: Path, num_items: int) -> list[str]:
    """A catalogue and a model for it; gives the options of the export."""
    catalog, model = folder / "catalog.db", folder / "model"
    build(catalog, num_items)
    ignored = shutil.ignore_patterns(EMBEDDINGS, BASELINE_NAME)
    shutil.copytree(BUILT_IN_MODELS[0], model, ignore=ignored)
    config, generator = ModelFolder(model).config, torch.Generator().manual_seed(1)
    texts = list(Catalog.open(catalog).iter_texts())
    ids = [item_id for item_id, _ in texts]

    def embeddings(width: int, hashes: list[str], fingerprint: str) -> ItemEmbeddings:
        vectors = torch.randn(len(ids), width, generator=generator).half()
        return ItemEmbeddings(ids, hashes, vectors, fingerprint)

    own = [text_hash(config.item_text(fields)) for _, fields in texts]
    fingerprint = ModelFolder(model).fingerprint
    embeddings(config.embedding_size, own, fingerprint).save(model / EMBEDDINGS)
    sentences = [text_hash(sentence_text(fields, KEYS)) for _, fields in texts]
    baseline = embeddings(384, sentences, sentence_fingerprint(KEYS))
    baseline.save(model / BASELINE_NAME)
    return [f"--catalog={catalog}", f"--model={model}"]


@contextmanager
def served(out: Path, options: Sequence[str]) -> Iterator[str]:
    """Export, tell what came of it, and serve the files; gives their address."""
    started = time.monotonic()
    command = [sys.executable, "-m", "app.export_static", str(out), *options]
    subprocess.run(command, cwd=ROOT, check=True)
    print(f"{'export':34}{time.monotonic() - started:10.1f} s", flush=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=out, stdout=quiet, stderr=quiet)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for_page(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def searches(browser: Browser, url: str) -> Iterator[str]:
    """The first search, for which the words are loaded, and the next ones."""
    page, traffic = open_page(browser, url)
    page.wait_for_selector(".baseline-column .rec", state="attached")
    traffic.wait_until_quiet(page)
    for text in SEARCHES:
        version = page.locator(".browse > .grid").get_attribute("data-version")
        started = time.monotonic()
        page.locator(".search").fill(text)
        page.wait_for_function(
            "before => document.querySelector('.browse > .grid').dataset.version !== before",
            arg=version,
        )
        yield f"{f'search {text!r}':34}{(time.monotonic() - started) * 1e3:10.0f} ms"
    page.context.close()


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=0, help="0: the built-in books")
    parser.add_argument("--clicks", type=int, default=40, help="that are timed; 1 to 48")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        options = make_large(folder, given.items) if given.items else []
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        print(machine_line(f"Chromium {browser.version}"), flush=True)
        with served(folder / "page", [*options, f"--data-dir={folder / 'data'}"]) as url:
            parts = (first_visit(browser, url), clicks(browser, url, given.clicks))
            for lines in (*parts, searches(browser, url)):
                for line in lines:
                    print(line, flush=True)
        browser.close()


if __name__ == "__main__":
    main()
