"""The endpoints for programs: those of app.verbs, as Gradio's.

So gradio_client, curl and the page's own description of them know their names and arguments. The
page asks by other ways (app.ui).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

import gradio as gr

from app.line import MAX_WAITING, PLACES, TOO_MANY, Line, stays
from app.service import Service
from app.verbs import TOLD, Verb, verbs_of


def is_crowded(demo: gr.Blocks) -> bool:
    """Whether more programs wait than can be answered soon. Whoever left is not in the queue."""
    return len(demo._queue) > MAX_WAITING


@contextmanager
def told_to_programs() -> Iterator[None]:
    """Errors that a program can do something about reach it as a sentence, without a traceback."""
    try:
        yield
    except TOLD as error:
        raise gr.Error(str(error), print_exception=False) from error


def add_api(service: Service, demo: gr.Blocks, line: Line) -> None:
    """Add the endpoints for programs to the blocks that are being built."""
    *at_once, recommend = verbs_of(service)
    gr.api(queued(recommend, demo, line), api_name=recommend.__name__, concurrency_limit=PLACES)
    for verb in at_once:
        gr.api(told(verb), api_name=verb.__name__, queue=False)


def queued(verb: Verb, demo: gr.Blocks, line: Line) -> Any:
    """A verb that waits in Gradio's queue, and then in the line with the page's visitors."""

    @wraps(verb)
    async def ask(*values: Any) -> dict[str, Any]:
        if is_crowded(demo):
            raise gr.Error(TOO_MANY, print_exception=False)
        with told_to_programs():
            return await line.run(partial(verb, *values), stays) or {}

    return ask


def told(verb: Verb) -> Verb:
    """A verb whose errors Gradio shows."""

    @wraps(verb)
    def ask(*values: Any) -> dict[str, Any]:
        with told_to_programs():
            return verb(*values)

    return ask
