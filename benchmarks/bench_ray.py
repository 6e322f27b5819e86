"""Embedding on a local Ray: items a second of 1 and 2 workers, and what 100 million items cost.

    python benchmarks/bench_ray.py --workers 1 2

Every worker has one CPU and one thread, and so has the plain engine, which runs before. The items
are those of the built-in catalogue, each with a number behind its title, so that no text is there
twice. Ray's start and the loading of the model are left out: the clock runs from the file after
which a third of the output is there to the last one. What 8 and 64 workers would take is one
worker's speed times their number; how near 2 workers come to twice the speed of 1 is measured. The
line of a GPU is a formula, no measurement: floating-point operations of an Item LLM of 1.1 billion
parameters, at a share (--efficiency) of the peak that the maker gives (--tflops).
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.measure import machine_line
from hllm.cluster.embed_parquet import embed_parquet
from hllm.embed import encode_catalog, load_encoder
from hllm.model_folder import ModelFolder
from hllm.text import tokenize
from hllm.training.plan import PAIRS

ROOT = Path(__file__).resolve().parents[1]
MANY = 100_000_000
POOLS = (1, 8, 64)
TEXT_TOKENS = 64  # of an item, for the GPU's line


def make_items(path: Path, num_items: int, keys: list[str]) -> list[dict[str, str]]:
    """Write a Parquet file of items, and give their fields."""
    lines = (ROOT / "assets" / "books" / "books.jsonl").read_text(encoding="utf-8").splitlines()
    books = [json.loads(line) for line in lines]
    fields = [
        {key: str(books[n % len(books)].get(key) or "") for key in keys} for n in range(num_items)
    ]
    for number, row in enumerate(fields):
        row["title"] += f" {number}"
    columns = {key: [row[key] for row in fields] for key in keys}
    pq.write_table(pa.table({"item_id": [f"i{n}" for n in range(num_items)], **columns}), path)
    return fields


def plain_speed(folder: ModelFolder, texts: list[str]) -> float:
    """Items a second of this process."""
    model, tokenizer = load_encoder(folder, torch.device("cpu"))
    encode_catalog(model, tokenizer, texts[:100], progress=False)
    started = time.perf_counter()
    encode_catalog(model, tokenizer, texts, progress=False)
    return len(texts) / (time.perf_counter() - started)


def ray_speed(model: Path, items: Path, output: Path, workers: int, per_block: int) -> float:
    """Items a second of a pool, once it works."""
    embed_parquet(
        model, str(items), str(output), workers=workers, items_per_block=per_block, progress=False
    )
    times = sorted(path.stat().st_mtime for path in output.glob("part-*"))
    first = len(times) // 3
    return (len(times) - 1 - first) * per_block / (times[-1] - times[first])


def duration(seconds: float) -> str:
    """For people."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} s"


def row(name: str, speed: float) -> str:
    """Items a second of one worker, and how long MANY items take with several."""
    cells = [duration(MANY / (speed * pool)).rjust(14) for pool in POOLS]
    return f"{name:44}{speed:10,.0f}{''.join(cells)}"


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=ROOT / "assets" / "books" / "model")
    parser.add_argument("--num-items", type=int, default=12_000, help="%(default)s")
    parser.add_argument("--per-block", type=int, default=500, help="%(default)s")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--tflops", type=float, default=989, help="bf16 of an H100 SXM")
    parser.add_argument("--efficiency", type=float, default=0.4, help="assumed; %(default)s")
    options = parser.parse_args()
    folder = ModelFolder(options.model)
    speeds = {}
    with TemporaryDirectory() as place:
        items = Path(place) / "items.parquet"
        fields = make_items(items, options.num_items, folder.config.text_keys)
        texts = [folder.config.item_text(row) for row in fields]
        tokens = tokenize(folder.tokenizer(), texts, folder.config.max_text_tokens)
        print(machine_line())
        print(f"{len(texts):,} items, {sum(map(len, tokens)) / len(texts):.0f} tokens on average")
        plain = plain_speed(folder, texts)
        print(f"plain engine, 1 thread: {plain:.0f} items/s", flush=True)
        for workers in options.workers:
            output = Path(place) / f"out-{workers}"
            speeds[workers] = ray_speed(options.model, items, output, workers, options.per_block)
            print(f"ray, {workers} workers: {speeds[workers]:.0f} items/s, "
                  f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    one = speeds[min(speeds)] / min(speeds)
    for workers, speed in speeds.items():
        print(f"{workers} workers: {speed / (one * workers):.0%} of {workers} times one")
    heads = "".join(f"{pool} workers".rjust(14) for pool in POOLS)
    print(f"\n{f'{MANY:,} items':44}{'items/s':>10}{heads}")
    print(row("one CPU of this machine, measured", one))
    item, _ = PAIRS["1.1b"]
    work = item.multiplied(TEXT_TOKENS + 1, TEXT_TOKENS + 1)
    gpu = options.tflops * 1e12 * options.efficiency / work
    print(row(f"1.1B, {options.efficiency:.0%} of {options.tflops:.0f} TFLOP/s, a formula", gpu))


if __name__ == "__main__":
    main()
