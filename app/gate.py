"""The gate in front of Gradio: only what the page and the API need gets in.

Gradio serves much more than this app uses: uploads that are not limited and can be read back,
files, direct calls, monitoring. A closed list of routes says what is answered, app.hosts by which
names and to which pages, app.bodies what may be sent. What is refused gets one sentence as JSON.
"""

import asyncio
import hashlib
import json
import logging
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException

from app.bodies import MAX_BODY_BYTES, Surface, check_message
from app.errors import RefusedError
from app.hosts import Hosts
from app.link_preview import with_link_preview
from app.preloads import with_preloads

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_DRAINED_BYTES = 8 * 1024 * 1024
MAX_DRAIN_S = 2
READ, CALL = ("GET", "HEAD"), ("POST",)
_ID = r"[0-9A-Za-z_-]{1,64}"
# What is read: the page and its parts, pictures, the map, the description of the API, answers.
_READ = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt|/covers|/map/(?:script|points)"
    r"|/-/(?:health|ready|versions)"
    r"|/(?:static|assets)(?:/[\w@-][\w@.-]*)+"
    r"|/gradio_api/(?:info/?|app_id|startup-events|theme\.css|queue/data"
    rf"|call/{_ID}/{_ID})"
)
# Under `gradio app.py` the page asks whether to load itself anew.
DEV_RELOAD = "/gradio_api/dev/reload"
_CALL = re.compile(rf"/gradio_api/call/({_ID})/?")
_JOIN = re.compile(r"/gradio_api/queue/join/?")
_SERVER = re.compile(r"/gradio_api/component_server/?")
MCP_PATH = "/mcp"
# Pictures come by the dozen and answers at every click: shorter than the policy of a page, and
# stricter. The drawn covers have style elements.
_POLICIES = {
    b"image/": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    b"application/json": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)

logger = logging.getLogger(__name__)


class Gate:
    """ASGI middleware that checks requests and sets the headers of every answer.

    Args:
        app: what is behind the gate.
        hosts: names of the app.
        surface: what may be called.
        also_read: further paths that may be read.
        mcp: tools are called at MCP_PATH.
        on_refusal: told the HTTP status of each request that is refused.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Hosts,
        surface: Surface,
        also_read: Collection[str] = (),
        mcp: bool = False,
        on_refusal: Callable[[int], None] = lambda status: None,
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._surface = surface
        self._also_read = also_read
        self._mcp = mcp
        self._on_refusal = on_refusal

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # no part of the app uses websockets
            await send({"type": "websocket.close", "code": 1008})
            return
        answer, inbox = _Answer(send, self._hosts.frame_ancestors), _Inbox(receive)
        try:
            body = await self._check(scope, inbox)
            if body is not None:
                scope = {**scope, "headers": _with_length(scope["headers"], len(body))}
                receive = partial(_replay, [body], receive)
            await self._app(scope, receive, answer)
        except RefusedError as refusal:
            self._on_refusal(refusal.status)
            await answer.refuse(refusal, inbox)
        except Exception as error:
            # Gradio has said in the stream that it does not know the session or the event, and then
            # raises what nobody can be told any more.
            if isinstance(error.__cause__, HTTPException) and await answer.end():
                return
            logger.exception("A request could not be answered")
            await answer.refuse(RefusedError(500, "The app has failed; its log says why."), inbox)

    async def _check(self, scope: Message, inbox: "_Inbox") -> bytes | None:
        """Refuse what has no business here; returns the checked body of a call."""
        origin = _header(scope, b"origin")
        self._hosts.check(_header(scope, b"host") or "", origin)
        method, path = scope["method"], route_path(scope)
        if self._mcp and path == MCP_PATH and method not in CALL:
            # What MCP prescribes where there are no streams and no sessions.
            raise RefusedError(405, "Tools of MCP are called with POST.")
        if method in READ:
            if not (_READ.fullmatch(path) or path in self._also_read):
                raise RefusedError(404, "There is nothing at this address.")
            return None
        check = self._body_check(path) if method in CALL else None
        if check is None:
            raise RefusedError(404, "There is nothing at this address.")
        kind = (_header(scope, b"content-type") or "").split(";")[0].strip().lower()
        if kind != "application/json":  # a foreign page can send other types without asking
            raise RefusedError(415, "Send JSON, with the header Content-Type: application/json.")
        return check(await inbox.read(_header(scope, b"content-length") or ""))

    def _body_check(self, path: str) -> Callable[[bytes], bytes] | None:
        """What checks the body that is sent to a path; None if nothing may be sent there."""
        if _JOIN.fullmatch(path):
            return self._surface.check_join
        if _SERVER.fullmatch(path):
            return self._surface.check_server
        if self._mcp and path == MCP_PATH:
            return check_message
        call = _CALL.fullmatch(path)
        return partial(self._surface.check_call, call[1]) if call else None


class _Inbox:
    """The body of a request as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = False

    async def read(self, announced: str) -> bytes:
        """The whole body.

        Args:
            announced: its Content-Length; may be missing, and need not be true.

        Raises:
            RefusedError: 413, it is too long.
        """
        too_long = RefusedError(413, f"The body must not be longer than {MAX_BODY_BYTES} bytes.")
        if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
            raise too_long
        body = b""
        while not self._complete:
            body += await self._next()
            if len(body) > MAX_BODY_BYTES:
                raise too_long
        return body

    async def drain(self) -> None:
        """Throw away the rest: who is cut off while sending does not see why."""
        left = MAX_DRAINED_BYTES
        try:
            async with asyncio.timeout(MAX_DRAIN_S):
                while left > 0 and not self._complete:
                    left -= len(await self._next())
        except TimeoutError:
            return

    async def _next(self) -> bytes:
        message = await self._receive()
        self._complete = not message.get("more_body", False)  # also where the sender has gone
        return message.get("body", b"")


class _Answer:
    """Sends an answer with the headers that every answer has.

    A page is held back until it is complete, so that its policy can name its scripts.
    """

    def __init__(self, send: Send, frame_ancestors: str) -> None:
        self._send = send
        self._frame_ancestors = frame_ancestors
        self._page: Message | None = None
        self._body = b""
        self._started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = dict(message.get("headers", ())).get(b"content-type", b"")
            if kind.startswith(b"text/html"):
                self._page = message
            else:
                await self._start(message, b"")
        elif self._page is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                page, self._page = self._page, None
                body = with_preloads(with_link_preview(self._body))
                headers = _with_length(list(page.get("headers", ())), len(body))
                await self._start({**page, "headers": headers}, body)
                await self._send({"type": "http.response.body", "body": body})
        else:
            await self._send(message)

    async def end(self) -> bool:
        """End an answer that has begun; False if none has."""
        if self._started:
            await self._send({"type": "http.response.body", "body": b""})
        return self._started

    async def refuse(self, refusal: RefusedError, inbox: "_Inbox") -> None:
        """Say in one sentence why there is no answer."""
        if self._started:  # too late to say anything: the connection ends unfinished
            return
        body = json.dumps({"detail": refusal.sentence}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            # The rest of a body that was not read would be taken for the next request.
            (b"connection", b"close"),
        ]
        start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
        await self._start(start, b"")
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        await inbox.drain()
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, message: Message, page: bytes) -> None:
        self._started = True
        kind = dict(message.get("headers", ())).get(b"content-type", b"")
        short = (allowed for of, allowed in _POLICIES.items() if kind.startswith(of))
        allowed = next(short, None) or policy(page, self._frame_ancestors)
        added = [
            (b"content-security-policy", allowed.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
        ]
        await self._send({**message, "headers": [*message.get("headers", ()), *added]})


def policy(page: bytes, frame_ancestors: str) -> str:
    """The content security policy of an answer.

    Args:
        page: its HTML, of which the inline scripts may run and no others; b"" for anything else.
        frame_ancestors: who may show it in a frame.
    """
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page))
    scripts = "".join(f" 'sha256-{b64encode(digest).decode()}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'none'",
            # Gradio makes functions of the text of gr.HTML's template and script: unsafe-eval.
            f"script-src 'self' 'unsafe-eval'{scripts}",
            # Gradio's components and the drawn covers have style attributes and elements.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'self'",
            "form-action 'none'",
            f"frame-ancestors {frame_ancestors}",
        )
    )


def route_path(scope: Message) -> str:
    """The path by which Gradio finds a route: without the prefix that a proxy left in front."""
    path, root = scope["path"], scope.get("root_path", "")
    return path.removeprefix(root) if root and path.startswith(root + "/") else path


async def _replay(bodies: list[bytes], receive: Receive) -> Message:
    """The body that was checked, once; then what the connection says."""
    if bodies:
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}
    return await receive()


def _header(scope: Message, name: bytes) -> str | None:
    """A header of a request; of several, all, so that no check sees another one than Gradio."""
    found = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return ", ".join(found) if found else None


def _with_length(headers: list[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    kept = [h for h in headers if h[0] not in (b"content-length", b"transfer-encoding")]
    return [*kept, (b"content-length", str(length).encode())]
