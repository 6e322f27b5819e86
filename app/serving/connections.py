"""Bounds of connections: how many there may be, and how long each may take over a request.

uvicorn waits for ever for the end of a request and takes any number of connections: a thousand
that say nothing used up the file descriptors, and nobody was answered any more.
"""

import asyncio
import http
import ipaddress
import json
import logging
import resource
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 1000
WANTED_FILES = 8192
# Catalogue, events, models, and a few for each thread that reads the catalogue.
FILES_FOR_OTHERS = 300
FEWEST_CONNECTIONS = 16

Phase = Literal["idle", "header", "body", "answer"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one visitor, and all of them, may hold.

    Attributes:
        connections: at a time. If all are in use, one that only waits makes room for a new one.
        per_address: of one address of the internet. Addresses of private networks and of this
            machine are not counted: behind a proxy, such as a Space's, all visitors have its
            address, and it is one of these.
        spared_s: a connection that has waited for less does not have to make room.
        header_s: from the beginning of a connection, or the first byte of a further request, to
            the end of the header.
        body_s: from there to the end of the body.
        answer_s: from there to the end of the answer; also ends what nobody reads.
        keep_alive_s: for which a connection may wait between two requests.
    """

    connections: int = MAX_CONNECTIONS
    per_address: int = 100
    spared_s: float = 1.0
    header_s: float = 10.0
    body_s: float = 20.0
    answer_s: float = 600.0
    keep_alive_s: int = 5


def limits_of_this_machine() -> Limits:
    """Raise the number of files that this process may open, and allow what they suffice for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = hard if hard != resource.RLIM_INFINITY else WANTED_FILES
    wanted = max(soft, min(WANTED_FILES, most)) if soft != resource.RLIM_INFINITY else soft
    if wanted != soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:  # some systems allow less than they say
            logger.warning("The limit of open files stays at %d: %s.", soft, error)
    if soft == resource.RLIM_INFINITY:
        return Limits()
    possible = max(FEWEST_CONNECTIONS, soft - FILES_FOR_OTHERS)
    if possible < MAX_CONNECTIONS:
        logger.warning(
            "This process may open %d files only, so that %d connections are answered at a time: "
            "raise the limit with ulimit -n.",
            soft,
            possible,
        )
    return Limits(connections=min(MAX_CONNECTIONS, possible))


class BoundedProtocol(H11Protocol):
    """A connection that is held to the limits.

    Args:
        limits: of this connection and of all.
        on_refusal: told why one is refused or ended: "connections", "header", "body", "answer".
        options: of uvicorn's protocol.
    """

    def __init__(
        self, *, limits: Limits, on_refusal: Callable[[str], None], **options: Any
    ) -> None:
        super().__init__(**options)
        self._limits = limits
        self._on_refusal = on_refusal
        self._phase: tuple[Phase, object] = ("header", None)
        self._since = self.loop.time()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or say that there are too many."""
        super().connection_made(transport)
        if not self._has_room():
            logger.warning("A connection is refused: there are too many.")
            self._refuse("connections", 503, "Too many visitors at once: try again in a minute.")
            return
        self._follow(anew=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request has come."""
        if self.transport.is_closing():  # refused, and the rest of the request is still coming
            return
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """An answer is sent; uvicorn begins with the next request, if it is there."""
        super().on_response_complete()
        self._follow()

    def _has_room(self) -> bool:
        everybody = cast("Iterable[BoundedProtocol]", self.connections)
        if self.client and _is_public(self.client[0]):
            same = [c for c in everybody if c.client and c.client[0] == self.client[0]]
            if len(same) > self._limits.per_address and not self._make_room(same):
                return False
        return len(self.connections) <= self._limits.connections or self._make_room(everybody)

    def _make_room(self, connections: Iterable["BoundedProtocol"]) -> bool:
        """End the connection that has waited longest for the rest of its request."""
        until = self.loop.time() - self._limits.spared_s
        waiting = [c for c in connections if c is not self and c.is_waiting_since(until)]
        if not waiting:
            return False
        min(waiting, key=lambda c: c._since).end()
        return True

    def is_waiting_since(self, until: float) -> bool:
        """Whether it has sent no whole request at that time of the loop, nor since."""
        return self._phase[0] != "answer" and self._since <= until

    def end(self) -> None:
        """Close the connection at once."""
        self.connections.discard(self)  # not counted while it closes
        self.transport.abort()

    def _follow(self, anew: bool = False) -> None:
        """Give a connection that has come to another phase the time for it."""
        phase = self._find_phase()
        if phase == self._phase and not anew:
            return
        self._phase, self._since = phase, self.loop.time()
        seconds = {
            "header": self._limits.header_s,
            "body": self._limits.body_s,
            "answer": self._limits.answer_s,
            "idle": None,  # uvicorn's own deadline, timeout_keep_alive
        }[phase[0]]
        self._set_deadline(None if self.transport.is_closing() else seconds)

    def _find_phase(self) -> tuple[Phase, object]:
        """What the connection does, and for which request."""
        if self.conn.their_state is h11.SEND_BODY:
            return "body", self.cycle
        if self.cycle is None:
            return "header", None
        if not self.cycle.response_complete:
            return "answer", self.cycle
        return ("header" if self.conn.trailing_data[0] else "idle"), self.cycle

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        phase = self._phase[0]
        if phase == "answer":  # computed for too long, or not read
            self._on_refusal(phase)
            self.end()
        elif phase == "header" and not self.conn.trailing_data[0] and self.cycle is None:
            self._on_refusal(phase)
            self.end()  # browsers open connections that they may need, and do not use each
        else:
            self._refuse(phase, 408, f"The {phase} of the request took too long.")

    def _refuse(self, reason: str, status: int, sentence: str) -> None:
        """Say why there is no answer, and close the connection."""
        self._on_refusal(reason)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # what waits for the body stops, and says nothing more
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.end()
                return
        body = json.dumps({"detail": sentence}).encode()
        head = (
            f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.connections.discard(self)
        self._set_deadline(None)
        self.transport.write(head.encode() + body)
        self.transport.close()


def _is_public(address: str) -> bool:
    """Whether an address is one of the internet, and neither a proxy's nor of this network."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:  # a socket that has no address
        return False
