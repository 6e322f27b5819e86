import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.serving.stopping import end, end_on_signals
from hllm.shell import INTERRUPTED
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[3]
# A signal mostly finds Python in a callback that would swallow an exception.
WAITS = """
import time, weakref
from app.serving.stopping import end_on_signals

class Thing:
    pass

def wait(_):
    print("ready", flush=True)
    time.sleep(1000)

end_on_signals()
thing = Thing()
kept = weakref.ref(thing, wait)
del thing
print("went on")
"""
# Python's own end never comes, as with a thread that imports torch meanwhile.
ENDS = """
import atexit, logging, sys, time
from app.serving.stopping import end
atexit.register(time.sleep, 1000)
print("said", end="")
end(3)
"""


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 0), ("SIGINT", INTERRUPTED)])
def test_signal_before_the_server_is_there_ends_at_once(number, code):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, number))
    assert process.communicate(timeout=PATIENCE_S) == ("", "")
    assert process.returncode == code


def test_end_does_not_wait_for_pythons_own():
    done = subprocess.run(
        [sys.executable, "-c", ENDS], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "said", "")


def test_thread_that_runs_the_program_once_more_sets_no_handler_and_ends_alone():
    before = signal.getsignal(signal.SIGTERM)
    codes = []

    def run():
        end_on_signals()
        try:
            end(2)
        except SystemExit as error:
            codes.append(error.code)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert codes == [2]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1, 3, 5, 7, 9])  # also within the import of torch
def test_the_app_ends_whenever_it_is_told_to(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "HLLM_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert "Traceback" not in said
