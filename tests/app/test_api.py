"""The endpoints for programs: errors are sentences, and whoever comes after too many hears so."""

import asyncio

import gradio as gr
import pytest

from app.line import MAX_WAITING
from app.ui import build_demo

VERBS = {
    "recommend": ["history", "top_k", "category", "min_price", "max_price"],
    "search": ["text", "category", "sort", "cursor"],
    "item": ["item_id"],
    "similar": ["item_id", "top_k"],
    "explain": ["history", "item_id"],
    "rank": ["history", "title", "creator", "category", "description"],
}


def test_programs_that_come_after_too_many_hear_so_at_once(service):
    demo = build_demo(service)
    [number] = [number for number, fn in demo.fns.items() if fn.api_name == "recommend"]
    recommend, queue = demo.fns[number], demo._queue
    queue.create_event_queue_for_fn(recommend)
    waiting = queue.event_queue_per_concurrency_id[recommend.concurrency_id].queue
    waiting.extend([None] * MAX_WAITING)
    assert "models" in asyncio.run(recommend.fn(["book-001"]))
    waiting.append(None)
    with pytest.raises(gr.Error, match="Too many"):
        asyncio.run(recommend.fn(["book-001"]))


def test_endpoints_tell_a_program_what_is_wrong(service):
    fns = {fn.api_name: fn.fn for fn in build_demo(service).fns.values()}
    with pytest.raises(gr.Error, match="from 1 to 100"):
        asyncio.run(fns["recommend"](["book-001"], 0))
    with pytest.raises(gr.Error, match="sort must be one of"):
        fns["search"]("", "", "nonsense")
    for name, arguments, words in (
        ("item", ["nothing"], "no item"),
        ("similar", ["book-001", 0], "from 1 to 100"),
        ("explain", [["book-001"], "book-007"], "two items"),
        ("rank", [["book-001"], ""], "needs a title"),
    ):
        with pytest.raises(gr.Error, match=words):
            fns[name](*arguments)
    service.catalog.path.unlink()
    with pytest.raises(gr.Error, match="cannot be read"):
        fns["item"]("book-001")
    with pytest.raises(gr.Error, match="cannot be read"):
        asyncio.run(fns["recommend"](["book-001"]))
    with pytest.raises(gr.Error, match="cannot be read"):
        fns["search"]("")


def test_endpoints_are_typed_and_described(service):
    described = build_demo(service).get_api_info()["named_endpoints"]
    assert set(described) == {f"/{name}" for name in VERBS}
    for name, names in VERBS.items():
        parameters = described[f"/{name}"]["parameters"]
        assert [parameter["parameter_name"] for parameter in parameters] == names
        assert described[f"/{name}"]["description"]
