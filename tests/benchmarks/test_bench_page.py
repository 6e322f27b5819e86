"""The benchmark of the page counts bytes once, and runs against the real app."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from benchmarks.bench_page import Traffic, percentile

ROOT = Path(__file__).resolve().parents[2]


def test_bytes_of_an_answer_and_of_a_stream_are_counted_once():
    traffic = Traffic()
    for request in ("page", "stream", "page"):
        traffic.started(request)
    traffic.received("page", 400)
    traffic.received("stream", 50)
    traffic.finished("page", 520)  # with headers
    traffic.received("stream", 70)
    assert (traffic.requests, traffic.total) == (2, 640)
    traffic.finished("stream", 30)
    assert traffic.total == 640


def test_a_percentile_is_one_of_the_values():
    values = [float(number) for number in range(40, 0, -1)]
    assert percentile(values, 0.95) == 38
    assert percentile([7.0], 0.95) == 7
    assert percentile(values, 0.5) == 20


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_it_prints_every_number():
    done = subprocess.run(
        [sys.executable, "benchmarks/bench_page.py", "--clicks", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    machine, *rows = done.stdout.splitlines()
    assert machine.startswith("machine: ") and "Chromium" in machine
    assert len(rows) == 12
    for row in rows:
        number = re.search(r"([\d.]+) (?:KB|ms median|ms p95|s)$|([\d.]+)$", row)
        assert float(number[1] or number[2]) >= 0, row
    assert re.search(r"first visit +\d+ requests", rows[1])
