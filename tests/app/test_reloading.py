"""Development with `gradio app.py`: no edit that follows an answer goes unseen."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from app import reloading
from app.reloading import AnswerOnceWatched
from tests.guides.pages import inline
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
GRADIO = Path(sys.executable).with_name("gradio")
MAX_START_S = 120  # a guard against hanging


def test_requests_wait_until_the_files_are_watched(monkeypatch):
    monkeypatch.setattr(reloading, "NOTING_SECONDS", 0.0)
    answered, watched = [], threading.Event()

    async def answer(scope, receive, send):
        answered.append((scope["type"], watched.is_set()))

    async def run():
        middleware = AnswerOnceWatched(answer, watched=watched)
        await middleware({"type": "lifespan"}, None, None)  # the server starts meanwhile
        held = asyncio.create_task(middleware({"type": "http"}, None, None))
        await asyncio.sleep(0.05)
        watched.set()
        await held
        watched.clear()  # it is not asked again
        await middleware({"type": "http"}, None, None)

    asyncio.run(run())
    assert answered == [("lifespan", False), ("http", True), ("http", False)]


@pytest.mark.slow
def test_an_edit_just_after_the_first_answer_is_seen(tmp_path):
    for name in ("app", "hllm", "assets"):
        (tmp_path / name).symlink_to(ROOT / name)
    program = Path(shutil.copy(ROOT / "app.py", tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "HLLM_DATA_DIR": str(tmp_path / "data"),
        "GRADIO_SERVER_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, GRADIO, *inline("operations.md", "gradio app.py").split()[1:]],
            cwd=tmp_path,
            env=environ,
            stdout=output,
            stderr=output,
            start_new_session=True,  # the command starts another process, which ends with it
        )

    def answers():
        try:
            with urlopen(f"http://127.0.0.1:{port}/") as page:
                return page.status == 200
        except OSError:
            return False

    try:
        wait_until(answers, MAX_START_S)
        os.utime(program)
        wait_until(lambda: "Changes detected" in log.read_text(), 20)
        time.sleep(1)  # what would be wrong with the new version is said now
        assert answers() and "Traceback" not in log.read_text()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
