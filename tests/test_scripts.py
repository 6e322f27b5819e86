"""The unit tests of the page's scripts, tests/assets/*.test.js, in node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = sorted((ROOT / "tests" / "assets").glob("*.test.js"))
LIMIT_S = 120  # a guard; they take a second


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_scripts_of_the_page():
    assert TESTS
    done = subprocess.run(
        ["node", "--test", *map(str, TESTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
