"""The log of a running app: time and request of each line, and no flood of the same one.

Lines name no histories and no addresses. What a visitor sent is shown cut and on one line.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

MAX_LINE_CHARS = 2000
WINDOW_S = 60.0
SAME_IN_WINDOW, ALL_IN_WINDOW = 20, 600
MAX_KINDS = 1000
REQUEST_ID = b"x-request-id"

Message = MutableMapping[str, Any]
App = Callable[[Message, Any, Any], Awaitable[None]]
request_id: ContextVar[str] = ContextVar("request_id", default="-")


def set_up_log() -> None:
    """From now on the lines of all loggers have time and request, and floods are cut."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(LineFormatter())
        handler.addFilter(Repeats())


class LineFormatter(logging.Formatter):
    """TIME LEVEL LOGGER [REQUEST] MESSAGE; a traceback follows on lines of its own."""

    converter = time.gmtime  # type: ignore[assignment]  # typeshed wants its argument optional

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s [%(request)s] %(message)s",
            datefmt="%Y-%m-%dT%H:%M:%S",
        )

    def formatMessage(self, record: logging.LogRecord) -> str:
        """One line, whatever is in it: nobody can write a line of their own into the log."""
        record.request = request_id.get()
        text = record.message
        if len(text) > MAX_LINE_CHARS:
            text = f"{text[:MAX_LINE_CHARS]} ... ({len(text)} characters)"
        record.message = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
        return super().formatMessage(record)


class Repeats(logging.Filter):
    """Lets a line through so many times a minute, and all lines together.

    Args:
        clock: seconds that only grow, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # Of each kind of line: when its minute began, and how many came in it.
        self._seen: OrderedDict[tuple[Any, ...], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; the last one says that others will not be."""
        error = record.exc_info[0] if record.exc_info else None
        return all(
            self._count(record, kind, most)
            for kind, most in (
                ((record.name, record.levelno, record.msg, error), SAME_IN_WINDOW),
                ((), ALL_IN_WINDOW),
            )
        )

    def _count(self, record: logging.LogRecord, kind: tuple[Any, ...], most: int) -> bool:
        now = self._clock()
        since, count = self._seen.pop(kind, (now, 0))
        left_out = max(0, count - most)
        if now >= since + WINDOW_S:
            since, count = now, 0
            if left_out:
                _append(record, f"{left_out} lines like this were left out")
        count += 1
        self._seen[kind] = (since, count)
        if len(self._seen) > MAX_KINDS:
            self._seen.popitem(last=False)
        if count == most:
            _append(record, f"further lines are left out for {WINDOW_S:.0f} s")
        return count <= most


def _append(record: logging.LogRecord, note: str) -> None:
    record.msg, record.args = f"{record.getMessage()} ({note})", ()


class RequestIds:
    """ASGI middleware: every request has an id, in its log lines and in a header of its answer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer a request under an id of its own; a visitor's would be a visitor's text."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name = secrets.token_hex(6)
        token = request_id.set(name)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (REQUEST_ID, name.encode())]
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            request_id.reset(token)
