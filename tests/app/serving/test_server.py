"""Ports, and the end of a server that is told to stop: a process of its own, as signals need it."""

import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.serving.server import address_of, listen
from hllm.errors import HLLMError
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[3]
AS_FIRST_PROCESS = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
# Answers begin, and end once the file that is asked for is there.
PROGRAM = """
    import asyncio, sys
    from pathlib import Path
    from starlette.applications import Starlette
    from app.serving import server
    from app.serving.connections import Limits

    server.DRAIN_S, server.END_S = float(sys.argv[1]), float(sys.argv[2])

    lifespan = Starlette()  # waits for the end, as Gradio's does

    async def answer(scope, receive, send):
        if scope["type"] != "http":
            await lifespan(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        wait = Path(scope["query_string"].decode())
        while not wait.exists():
            await asyncio.sleep(0.01)
        if wait.suffix == ".thread":  # computes on, whoever waits for it
            import time
            await asyncio.to_thread(time.sleep, 1000)
        await send({"type": "http.response.body", "body": b"ended"})

    listener = server.listen("127.0.0.1", None, {})
    print(server.address_of(listener), flush=True)
    server.Server(answer, Limits(), close=lambda: print("closed", flush=True)).run([listener])
    print("over", flush=True)
"""


@pytest.fixture
def start():
    """Start the program; gives the process and the address."""
    started = []

    def run(*before, drain_s=PATIENCE_S, end_s=2 * PATIENCE_S):
        program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(drain_s), str(end_s)]
        process = subprocess.Popen(
            [*before, *program],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield run
    for process in started:
        process.kill()
        process.wait()


def stopped(process):
    """What a process said that has ended by itself, and its exit code."""
    said, _ = process.communicate(timeout=PATIENCE_S)
    return said.split(), process.returncode


def takes_connections(url):
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_in_flight_end_and_nobody_else_is_let_in(start, tmp_path, number):
    process, url = start()
    with urlopen(f"{url}/?{tmp_path / 'go'}") as answer:
        assert answer.read(6) == b"begun "
        process.send_signal(number)
        wait_until(lambda: not takes_connections(url))
        (tmp_path / "go").touch()
        assert answer.read() == b"ended"
    assert stopped(process) == (["closed", "over"], 0)


def test_first_process_of_a_container_ends_too(start, tmp_path):
    if subprocess.run([*AS_FIRST_PROCESS, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a PID namespace")
    process, url = start(*AS_FIRST_PROCESS)
    # Answered, not only connected: before, there is no handler, and this process is sent nothing.
    (tmp_path / "go").touch()
    with urlopen(f"{url}/?{tmp_path / 'go'}") as answer:
        assert answer.read() == b"begun ended"
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    status = Path(f"/proc/{child}/status").read_text()
    assert next(x for x in status.splitlines() if x.startswith("NSpid")).split()[-1] == "1"
    subprocess.run(["kill", "-TERM", child], check=True)
    assert stopped(process) == (["closed", "over"], 0)


def test_answer_that_does_not_end_in_time_is_cut(start, tmp_path):
    process, url = start(drain_s=0.2)
    with urlopen(f"{url}/?{tmp_path / 'never'}") as answer:
        answer.read(6)
        process.terminate()
        assert stopped(process) == (["closed", "over"], 0)


def test_thread_that_computes_on_does_not_hold_the_end_up(start, tmp_path):
    (tmp_path / "go.thread").touch()
    process, url = start(drain_s=0.2, end_s=0.5)
    with urlopen(f"{url}/?{tmp_path / 'go.thread'}") as answer:
        answer.read(6)
        process.terminate()
        assert stopped(process) == (["closed"], 0)


def test_second_signal_does_not_wait_and_leaves_one_sentence(start, tmp_path):
    process, url = start()
    with urlopen(f"{url}/?{tmp_path / 'never'}") as answer:
        answer.read(6)
        process.terminate()
        wait_until(lambda: not takes_connections(url))
        process.terminate()
        said, log = process.communicate(timeout=PATIENCE_S)
    assert (said.split(), process.returncode) == (["closed"], 0)
    assert log == "Told again to end, the app does not wait for answers in flight.\n"


def test_port_is_the_first_free_one_and_a_space_says_where():
    with listen(None, None, {}) as first:
        host, port = first.getsockname()
        assert host == "127.0.0.1"
        with listen(None, None, {"GRADIO_SERVER_PORT": str(port)}) as second:
            assert second.getsockname()[1] > port
        with pytest.raises(HLLMError, match=f"port {port} of 127.0.0.1: it is in use .* --port"):
            listen(None, port, {})
    with listen(None, None, {"GRADIO_SERVER_NAME": "0.0.0.0"}) as everywhere:
        assert everywhere.getsockname()[0] == "0.0.0.0"
        assert address_of(everywhere).startswith("http://localhost:")


def test_body_of_an_answer_does_not_wait_for_the_receipt_of_its_headers():
    with listen(None, None, {}) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
