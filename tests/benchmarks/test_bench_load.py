"""The benchmark of many visitors tells answers, refusals and anything else apart."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from benchmarks.bench_load import Seen

ROOT = Path(__file__).resolve().parents[2]


def test_answers_refusals_and_anything_else_are_told_apart():
    seen = Seen(counts_from=0)
    assert seen.answer(5.0, httpx.Response(200, json={"columns": {}}))
    assert not seen.answer(1.0, httpx.Response(200, json={"error": "Too many.", "busy": True}))
    assert seen.answer(2.0, httpx.Response(200, json={"error": "No.", "busy": False}))
    assert seen.answer(3.0, httpx.Response(500, text="broken"))
    assert (seen.latencies_ms, seen.refused_ms, len(seen.other)) == ([5.0], [1.0], 2)
    assert "500 broken" in seen.other


def test_what_is_seen_before_the_models_are_warm_does_not_count():
    seen = Seen(counts_from=time.monotonic() + 60)
    assert seen.answer(5.0, httpx.Response(200, json={"columns": {}}))
    assert seen.latencies_ms == []


@pytest.mark.slow
def test_visitors_of_the_real_app_are_answered():
    done = subprocess.run(
        [sys.executable, "benchmarks/bench_load.py", "--visitors=3", "--pause=0.2", "--seconds=4"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = (line.strip().split("  ", 1) for line in done.stdout.splitlines()[2:])
    rows = dict(line for line in lines if len(line) == 2)
    assert int(rows["answers"].split()[0]) > 10
    assert rows["refusals"].strip() == "0" and rows["other answers"].split() == ["0"]
    assert len(rows["memory, MiB"].split()) >= 10
