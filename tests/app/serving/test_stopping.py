import signal
import subprocess
import sys
import threading
from pathlib import Path

from app.serving.stopping import exit_on_sigterm

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import time
from app.serving.stopping import exit_on_sigterm
exit_on_sigterm()
try:
    print("ready", flush=True)
    time.sleep(1000)
finally:
    print("cleaned up", flush=True)
"""


def test_sigterm_before_the_server_is_there_ends_in_order():
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "cleaned up\n"
    assert process.returncode == 0


def test_thread_that_runs_the_program_once_more_sets_no_handler():
    errors = []

    def run():
        try:
            exit_on_sigterm()
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []
