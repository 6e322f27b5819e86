"""What it costs to choose another model on the page: seconds until it answers, and memory.

    python benchmarks/bench_switch.py [--models FOLDERS]

Opens the built-in books as the app does, with the two models of the start, and then asks for one
more in the right column, each in a process of its own. Linux only (reads /proc).
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.opening import open_service
from app.service import Service
from app.settings import Settings, folder_names
from benchmarks.measure import machine_line, status_mib

HISTORY = ["dune-herbert", "solaris-lem", "the-martian-weir"]
PAUSE_S = 0.01
ANSWERS = 10


def opened(folders: tuple[Path, ...], data_dir: str) -> Service:
    """The app without its page, its two models loaded."""
    service = open_service(Settings(data_dir=Path(data_dir), models=folders))
    while not all(column.is_loaded for column in service.columns):
        time.sleep(PAUSE_S)
    return service


def offered(folders: tuple[Path, ...]) -> list[tuple[str, str]]:
    """Name and title of every model that could be chosen."""
    with tempfile.TemporaryDirectory() as data_dir:
        service = opened(folders, data_dir)
        assert service.models is not None
        offers = [o for o in service.models.offers() if o.name not in service.models.default]
        service.close()
    return [(offer.name, offer.title) for offer in offers if not offer.problem]


def cost_of(name: str, folders: tuple[Path, ...]) -> tuple[float, float, float, float]:
    """MiB before, seconds until the model answers, MiB more, and milliseconds of an answer."""
    with tempfile.TemporaryDirectory() as data_dir:
        service = opened(folders, data_dir)
        before, start = status_mib("VmRSS"), time.monotonic()
        raw = {"models": ["hllm", name]}
        while (column := service.seen_with(raw).columns[1]).info().state == "loading":
            time.sleep(PAUSE_S)
        if column.info().state != "ready":
            raise SystemExit(column.info().message)
        loaded, started = time.monotonic() - start, time.perf_counter()
        for _ in range(ANSWERS):
            column.ask(HISTORY, 100)
        answer_ms = (time.perf_counter() - started) * 1e3 / ANSWERS
        more = status_mib("VmRSS") - before
        service.close()
    return before, loaded, more, answer_ms


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=folder_names, default=(), help="as app.py's")
    folders = parser.parse_args().models
    sys.stdout.write(
        f"{machine_line()}\n| model | s until it answers | MiB more | ms of an answer |\n"
    )
    sys.stdout.write("|---|---|---|---|\n")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as alone:
        for name, title in alone.apply(offered, [folders]):
            before, loaded, more, answer_ms = alone.apply(cost_of, [name, folders])
            sys.stdout.write(f"| {title} | {loaded:.1f} | {more:.0f} | {answer_ms:.1f} |\n")
            sys.stdout.flush()
    sys.stdout.write(f"with the two of the start: {before:.0f} MiB\n")


if __name__ == "__main__":
    main()
