"""The server: takes a port, answers until it is told to end, and then ends in an orderly way.

Gradio's own server runs in a thread, knows no limits and is cut off by SIGTERM. This one is
uvicorn's in the main thread: SIGTERM, which ends a container, and Ctrl-C let answers in flight end.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from app.serving.connections import BoundedProtocol, Limits
from app.serving.stopping import ignore_signals
from hllm.errors import HLLMError

LOCAL_HOST = "127.0.0.1"
FIRST_PORT, NUM_PORTS = 7860, 100
BACKLOG = 128  # so many are taken before the first of them is counted
# Containers get SIGKILL 10 s after SIGTERM.
DRAIN_S = 8
END_S = 9

logger = logging.getLogger(__name__)


def listen(host: str | None, port: int | None, environ: Mapping[str, str]) -> socket.socket:
    """Take a port.

    Args:
        host: address; None: GRADIO_SERVER_NAME, which a Space sets, or this machine only.
        port: None: the first free one from GRADIO_SERVER_PORT, or 7860, on.
        environ: the environment.

    Raises:
        HLLMError: none can be had.
    """
    host = (host or environ.get("GRADIO_SERVER_NAME") or LOCAL_HOST).strip("[]")
    first = port or _first_port(environ)
    ports = [port] if port else range(first, min(first + NUM_PORTS, 2**16))
    reason: OSError | None = None
    for number in ports:
        try:
            kind = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, number), family=kind, backlog=BACKLOG)
            # Connections inherit it. asyncio sets it only where a socket names its protocol, and
            # without it the body of an answer waits 40 ms for the receipt of its headers.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            reason = error
        else:
            return listener
    where = f"port {port}" if port else f"a port from {first} on"
    raise HLLMError(
        f"The app cannot listen on {where} of {host}: it is in use or not allowed "
        f"({reason}), so stop the program that uses it or choose another with --port."
    ) from reason


def _first_port(environ: Mapping[str, str]) -> int:
    text = environ.get("GRADIO_SERVER_PORT", "")
    return int(text) if text.isdecimal() and 0 < int(text) < 2**16 else FIRST_PORT


def address_of(listener: socket.socket) -> str:
    """The address of the page on this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "localhost", "::": "localhost"}.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server with limits of connections and an orderly end.

    Args:
        app: what answers.
        limits: of connections.
        on_refusal: told why a connection is refused or ended.
        close: closes what the app holds, once nobody is answered any more.
    """

    def __init__(
        self,
        app: Any,
        limits: Limits,
        *,
        on_refusal: Callable[[str], None] = lambda reason: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        protocol: Any = partial(BoundedProtocol, limits=limits, on_refusal=on_refusal)
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol,
                ws="none",
                backlog=BACKLOG,
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_keep_alive=limits.keep_alive_s,
                timeout_graceful_shutdown=DRAIN_S,
            )
        )
        self._close = close
        self._hurries = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer until SIGTERM or Ctrl-C; then let answers end within DRAIN_S, and close."""
        try:
            super().run(sockets)
        finally:
            ignore_signals()  # uvicorn has just given back the handlers that do not wait
            self._close()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End; told so again, do not wait for answers.

        uvicorn would raise the signal once more when all is done, and the exit code were not 0.
        """
        if not self.should_exit:
            self.should_exit = True
            self._end_in(END_S, f"Not everything ended in {END_S} s; the app ends without it.")
        elif not self._hurries:
            self._hurries = True
            self._end_in(0, "Told again to end, the app does not wait for answers in flight.")

    def _end_in(self, seconds: float, sentence: str) -> None:
        """End from a thread: a signal comes in the midst of anything, also of writing to the log.

        uvicorn's `force_exit` would cut the lifespan of the app off, with a traceback in the log.
        """
        end = threading.Timer(seconds, self._end_now, [sentence])
        end.daemon = True
        end.start()

    def _end_now(self, sentence: str) -> None:
        """End with threads that still compute for somebody: nobody waits for the answer any more.

        Python would wait for them, and whoever sent SIGTERM would send SIGKILL.
        """
        logger.warning("%s", sentence)
        self._close()
        logging.shutdown()
        os._exit(0)
