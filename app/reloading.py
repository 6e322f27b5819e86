"""Under `gradio app.py`: nobody is answered before Gradio watches the files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

# Gradio notes the times of all files just after it has run app.py once more, in a thread of its
# own. A later edit is seen; one in this time would be taken for what was there before.
NOTING_SECONDS = 1.0
MAX_WAIT_SECONDS = 20.0


def is_reloading(environ: Mapping[str, str]) -> bool:
    """Whether the app runs under `gradio app.py`, which loads it anew after every edit."""
    return "GRADIO_WATCH_DIRS" in environ


class AnswerOnceWatched:
    """ASGI middleware that holds requests until `watched` is set.

    Args:
        app: what answers.
        watched: set when app.py has run in the thread that watches the files.
    """

    def __init__(self, app: ASGIApp, *, watched: threading.Event) -> None:
        self._app = app
        self._watched = watched
        self._is_open = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or wait first."""
        if scope["type"] == "http" and not self._is_open:
            await asyncio.to_thread(self._watched.wait, MAX_WAIT_SECONDS)
            await asyncio.sleep(NOTING_SECONDS)
            self._is_open = True
        await self._app(scope, receive, send)
