"""What it costs to choose another model on the page: seconds until it answers, and memory.

    python benchmarks/bench_switch.py [--models FOLDERS]

Opens the built-in books as the app does and puts every installed model into the right column, one
after the other, in one process. Linux only (reads /proc).
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.opening import open_service
from app.settings import Settings, folder_names
from benchmarks.measure import machine_line, status_mib

HISTORY = ["dune-herbert", "solaris-lem", "the-martian-weir"]
PAUSE_S = 0.01


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=folder_names, default=(), help="as app.py's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = open_service(Settings(data_dir=Path(folder), models=options.models))
        while not all(column.is_loaded for column in service.columns):
            time.sleep(PAUSE_S)
        assert service.models is not None
        started = status_mib("VmRSS")
        sys.stdout.write(f"{machine_line()}\nwith the two of the start: {started:.0f} MiB\n")
        sys.stdout.write("| model | s until it answers | MiB more | ms of an answer |\n")
        sys.stdout.write("|---|---|---|---|\n")
        for offer in service.models.offers():
            if offer.problem or offer.name in service.models.default:
                continue
            before, start = status_mib("VmRSS"), time.monotonic()
            pair = {"models": ["hllm", offer.name]}
            column = service.seen_with(pair).columns[1]
            while column.info().state == "loading" and "waits" not in column.info().message:
                time.sleep(PAUSE_S)
                column = service.seen_with(pair).columns[1]
            if column.info().state != "ready":
                sys.stdout.write(f"| {offer.title} | {column.info().message} | | |\n")
                continue
            loaded = time.monotonic() - start
            start = time.perf_counter()
            for _ in range(10):
                column.ask(HISTORY, 100)
            answer_ms = (time.perf_counter() - start) * 100
            more = status_mib("VmRSS") - before
            sys.stdout.write(f"| {offer.title} | {loaded:.1f} | {more:.0f} | {answer_ms:.1f} |\n")
            sys.stdout.flush()
        service.close()


if __name__ == "__main__":
    main()
