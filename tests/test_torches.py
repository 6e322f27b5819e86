"""Every torch that ZeroGPU has does what the tested one does: imports, answers, trains."""

import json
import os
import subprocess
import sys
import time

import pytest

from tests.space_staging import ROOT, TORCHES, built_environment, python_of_a_space, world

PSYCOPG = next(
    line
    for line in (ROOT / "requirements-postgres.txt").read_text().splitlines()
    if line.startswith("psycopg")
)


def work(python, source, folder):
    """What tests/torch_work.py finds with a Python."""
    folder.mkdir()
    done = subprocess.run(
        [python, "-m", "tests.torch_work", folder],
        cwd=source, stdout=subprocess.PIPE, check=True, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HLLM_CACHE": str(folder / "cache")},
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What this Python finds with its torch."""
    return work(sys.executable, ROOT, tmp_path_factory.mktemp("expected") / "work")


@pytest.mark.long
@pytest.mark.parametrize("torch", TORCHES)
def test_every_torch_of_a_space_imports_answers_and_trains_alike(torch, expected):
    python = python_of_a_space()
    if python is None:
        pytest.skip("this machine has no Python of the version that the Space asks for")
    with world() as folder:
        started = time.monotonic()
        made = built_environment(folder, python, torch)
        built = time.monotonic()
        # A Space has none of the extras; this one is what modules import that need it.
        words = ["-m", "pip", "install", "-q", PSYCOPG, f"torch=={torch}"]
        subprocess.run([made, *words], check=True)
        found = work(made, folder / "source", folder / "work")
        worked = time.monotonic()
    print(
        f"torch {found['torch']}, Python {found['python']}: built in {built - started:.0f} s, "
        f"worked {worked - built:.0f} s with {found['peak_bytes'] / 1e6:.0f} MB at most"
    )
    assert found["torch"].startswith(torch)
    assert found["modules"] == expected["modules"]
    for name, scores in expected["scores"].items():
        assert found["scores"][name] == pytest.approx(scores, abs=1e-4)
    assert len(found["scores"]) == len(expected["scores"])
    difference = max(
        abs(found["scores"][name] - score) for name, score in expected["scores"].items()
    )
    print(f"scores differ by {difference:.1e} at most")
    for name, losses in expected["losses"].items():
        print(name, found["losses"][name], losses)
        # Adam makes a step of full size of a gradient that is all but zero: here rounding shows.
        assert found["losses"][name] == pytest.approx(losses, rel=1e-3)
