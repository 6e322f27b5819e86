"""What a Space does: the tracked files in a folder that cannot be written, run by somebody else."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
MAX_START_S = 90
READ_ONLY_FILE, READ_ONLY_FOLDER = 0o444, 0o555

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run the app as somebody else"),
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout"),
]


@pytest.fixture
def world():
    """A folder that everybody can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="space-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def copy_tracked(target):
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
            (target / name).chmod(READ_ONLY_FILE)
    for folder in [*target.rglob("*/"), target]:
        folder.chmod(READ_ONLY_FOLDER)


@pytest.mark.slow
def test_tracked_files_open_for_an_unprivileged_user(world):
    source, scratch = world / "source", world / "tmp"
    source.mkdir()
    scratch.mkdir()
    scratch.chmod(0o777)
    copy_tracked(source)
    runs_python = subprocess.run(
        [
            "setpriv",
            f"--reuid={NOBODY}",
            f"--regid={NOBODY}",
            "--clear-groups",
            sys.executable,
            "-V",
        ],
        capture_output=True,
        check=False,
    )
    if runs_python.returncode:
        pytest.skip(f"another user cannot run {sys.executable}")
    log = world / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                "setpriv",
                f"--reuid={NOBODY}",
                f"--regid={NOBODY}",
                "--clear-groups",
                sys.executable,
                "app.py",
            ],
            cwd=source,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(scratch),
                "TMPDIR": str(scratch),
                "PYTHONUNBUFFERED": "1",
                "GRADIO_SERVER_NAME": "127.0.0.1",
                "SYSTEM": "spaces",
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = wait_for_url(process, log)
        client = Client(url, verbose=False)
        found = client.predict("hobbit", "", "popularity", "", api_name="/search")
        assert found["items"][0]["title"] == "The Hobbit"
    finally:
        process.terminate()
        process.wait(20)
    assert "cannot be written; the app writes to" in log.read_text()
    assert list(scratch.glob("hllm-live-*/books.db"))
    assert "Traceback" not in log.read_text()


def wait_for_url(process, log):
    deadline = time.monotonic() + MAX_START_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError("the app did not start:\n" + log.read_text())
