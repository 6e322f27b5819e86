"""The benchmark in less memory than a catalogue takes bounds a program, or says that it cannot."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory_group
from benchmarks.memory_group import MIB, MemoryGroup

ROOT = Path(__file__).resolve().parents[2]
CAN_BOUND = os.access(memory_group.ROOT, os.W_OK)
needs_groups = pytest.mark.skipif(not CAN_BOUND, reason="needs root and cgroup v1")


def test_without_groups_it_says_so_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_group, "ROOT", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match=r"cannot be made here \(.*\): this needs root on a Linux"):
        MemoryGroup(MIB).__enter__()


@needs_groups
@pytest.mark.parametrize(("wanted", "ends"), [(10, 0), (400, -9)])
def test_who_wants_more_than_there_is_is_killed(wanted, ends):
    with MemoryGroup(100 * MIB) as group:
        program = group.start([sys.executable, "-c", f"bytearray({wanted * MIB}).count(1)"])
        assert program.wait() == ends
        assert group.was_killed == (ends == -9)
    assert group.peak["rss"] < 101


@needs_groups
@pytest.mark.long
def test_it_prints_every_number():
    done = subprocess.run(
        [
            *(sys.executable, "benchmarks/bench_memory_limit.py", "--items=5000", "--clicks=3"),
            *("--memory-gib=2", "--indexes", "auto"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for when in ("first", "later"):
        for name in ("all", "category", "price"):
            assert re.search(rf"{when} 3 clicks, {name}: median \d+ ms, p95 \d+ ms", done.stdout)
    shares = re.search(r"recall@100, HLLM and baseline: (.*)", done.stdout)[1].split(", ")
    assert len(shares) == 6 and min(map(float, shares)) > 0.98
    assert re.search(r"map of all items: \d+ s", done.stdout)
