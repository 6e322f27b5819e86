"""Start of the app: seconds to the first page and to the first recommendation, peak memory.

    python benchmarks/bench_start.py [--runs 3] [--again] [-- options of app.py]

Every run starts the real app as a program with an empty data folder, or, with --again, with the one
that a start before it has left. Linux only (reads /proc).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gradio_client import Client

from benchmarks.measure import machine_line, status_mib

ROOT = Path(__file__).resolve().parents[1]
PORT = 7893
TIMEOUT_S = 180


def wait_for_page(url: str) -> None:
    """Poll until the page is served."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(url, timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"{url} did not open within {TIMEOUT_S} s")


def wait_for_answer(url: str, item_id: str) -> None:
    """Ask for recommendations until both columns answer."""
    client = Client(url, verbose=False)
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        answer = str(client.predict([item_id], 10, api_name="/recommend"))
        if "loading" not in answer:
            return
        time.sleep(0.2)
    raise SystemExit("the models did not load in time")


def measure(folder: str, options: list[str], item_id: str) -> tuple[float, float, float]:
    """One start: seconds to the page, seconds to the first answer, peak MiB."""
    command = [sys.executable, "app.py", "--port", str(PORT), "--data-dir", folder, *options]
    start = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{PORT}/"
        wait_for_page(url)
        page = time.monotonic() - start
        wait_for_answer(url, item_id)
        return page, time.monotonic() - start, status_mib("VmHWM", process.pid)
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Print a table of the runs and their medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--item", default="dune-herbert", help="an item id of the catalogue")
    parser.add_argument("--again", action="store_true", help="start on what a start has left")
    parser.add_argument("options", nargs="*", help="options of app.py, after --")
    args = parser.parse_args()
    print(machine_line(f"{os.cpu_count()} cores"))
    print("| run | page s | first answer s | peak MiB |\n|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory() as kept:
        if args.again:
            measure(kept, args.options, args.item)
        for run in range(args.runs):
            with tempfile.TemporaryDirectory() as empty:
                rows.append(measure(kept if args.again else empty, args.options, args.item))
            print("| {} | {:.1f} | {:.1f} | {:.0f} |".format(run + 1, *rows[-1]), flush=True)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    print("| median | {:.1f} | {:.1f} | {:.0f} |".format(*medians))


if __name__ == "__main__":
    main()
