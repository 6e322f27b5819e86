"""Answers are for the app's own pages alone: no header lets those of another origin read them.

Gradio's middleware, outside of everything that an app adds to it, lets every page that comes from
this machine read a local app's answers, and says so in each answer to the app's own page.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_FOR_OTHERS = b"access-control-"

Message = MutableMapping[str, Any]


class OwnPages:
    """Takes the headers of CORS off every answer.

    Args:
        app: what answers.
    """

    def __init__(self, app: Callable[[Message, Any, Any], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        """Answer a request."""

        async def send_without(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if not pair[0].startswith(_FOR_OTHERS)]
                message = {**message, "headers": kept}
            await send(message)

        await self._app(scope, receive, send_without)
