import http.client
import json
import socket
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.request import Request, urlopen

import gradio as gr
import pytest

from app.line import MAX_WAITING, PLACES, TOO_MANY
from app.serving.connections import MAX_CONNECTIONS
from app.session import MAX_HISTORY, MAX_SEARCH_CHARS
from app.settings import Settings
from app.shell import shell
from app.ui import app_options, build_demo, launch, surface_of, web_app
from hllm.errors import HLLMError
from tests.served import served
from tests.waiting import PATIENCE_S, wait_until


def test_template_of_the_page_holds_no_text_of_the_catalogue(service):
    """A gr.HTML template is run as code; what comes from data must be a value in it."""
    page = next(b for b in build_demo(service).blocks.values() if isinstance(b, gr.HTML))
    assert page.html_template == "${shell}"


def test_the_page_asks_off_the_queue(service):
    demo = build_demo(service)
    fns = {fn.api_name: fn for fn in demo.fns.values()}
    assert set(fns) == {"recommend", "search", "item", "similar", "explain", "rank"}
    assert fns["recommend"].concurrency_limit == PLACES
    assert not any(fn.queue for name, fn in fns.items() if name != "recommend")
    assert {"answer", "browse"} <= surface_of(demo).functions


def test_the_queue_is_as_long_on_zerogpu(service, monkeypatch):
    """There Gradio's own has one place, and the second visitor were told that it is full."""
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert build_demo(service)._queue.max_size == MAX_CONNECTIONS


def test_gradio_makes_no_table_of_all_answers_after_each(service):
    queue = build_demo(service)._queue
    queue.events_recorded = 10**6
    assert queue.compute_analytics_summary([{"function": "x"}]) == {"functions": {}}
    assert queue.ANALYTICS_MAX_EVENTS == 1


def test_app_keeps_no_run_history(service):
    options = app_options(build_demo(service), service, Settings())
    assert options["run_history"] is False
    assert options["ssr_mode"] is False and options["mcp_server"] is False
    assert "allowed_paths" not in options


def test_port_in_use_is_said_with_a_way_on(service):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HLLMError, match=f"port {port} of 127.0.0.1: it is in use .* --port"):
            launch(build_demo(service), service, Settings(port=port, host="127.0.0.1"))


def test_limits_of_the_server_are_those_of_the_page(service):
    html = shell(service)
    assert f'data-max-history="{MAX_HISTORY}"' in html
    assert f'maxlength="{MAX_SEARCH_CHARS}"' in html


def test_the_theme_loads_no_fonts(service):
    theme = app_options(build_demo(service), service, Settings())["theme"]
    assert "@font-face" in gr.themes.Default()._get_theme_css()  # so this is where they would be
    assert "@font-face" not in theme._get_theme_css() and not theme._stylesheets


@pytest.fixture
def slow(tmp_path, new_service, new_items, fake_recommender):
    """A served app whose model waits; the histories that it was asked for, and what lets it go."""
    gate, asked = threading.Event(), []

    class Slow(fake_recommender):
        def recommend(self, history, **options):
            asked.append(history)
            gate.wait(PATIENCE_S)
            return super().recommend(history, **options)

    ids = [item.item_id for item in new_items(5)]
    service = new_service(tmp_path / "c.db", new_items(5), load_hllm=lambda: Slow("HLLM", ids))
    demo = build_demo(service)
    with served(web_app(demo, service, Settings(data_dir=tmp_path))) as (server, url):
        yield SimpleNamespace(
            demo=demo, url=url, server=server, line=service.line, asked=asked, let_go=gate.set
        )
        gate.set()


def test_pages_that_have_left_are_not_answered(slow):
    [page] = [number for number, block in slow.demo.blocks.items() if isinstance(block, gr.HTML)]

    def begin(version):
        query = {"version": version, "history": ["book-001"], "session": "0" * 32}
        call = {"data": query, "component_id": page, "fn_name": "answer", "session_hash": "s"}
        connection = http.client.HTTPConnection(slow.url.removeprefix("http://"))
        header = {"Content-Type": "application/json"}
        connection.request("POST", "/gradio_api/component_server", json.dumps(call), header)
        return connection

    answered = [begin(version) for version in range(PLACES)]
    wait_until(lambda: len(slow.asked) == PLACES)
    stays, *left = [begin(version) for version in range(100, 100 + MAX_WAITING)]
    wait_until(lambda: slow.line.num_waiting == MAX_WAITING)
    late = begin(999)
    busy = {"version": 999, "error": TOO_MANY, "busy": True}
    assert json.load(late.getresponse()) == busy
    for one in (late, *left):
        one.close()
    wait_until(lambda: len(slow.server.server_state.connections) == PLACES + 1)
    slow.let_go()
    versions = {json.load(one.getresponse())["version"] for one in [*answered, stays]}
    assert versions == {*range(PLACES), 100}
    assert len(slow.asked) == PLACES + 1


def test_answers_that_no_program_waits_for_any_more_are_not_computed(slow):
    demo, url, asked = slow.demo, slow.url, slow.asked
    at_once, number = PLACES, 6
    call = "/gradio_api/call/recommend"
    body = json.dumps({"data": [["book-001"]]}).encode()
    with ExitStack() as end:

        def begin():
            send = Request(url + call, body, {"Content-Type": "application/json"})
            with urlopen(send) as answer:
                event = json.load(answer)["event_id"]
            return end.enter_context(urlopen(f"{url}{call}/{event}"))

        answered = [begin() for _ in range(at_once)]
        wait_until(lambda: len(asked) == at_once)
        left = [begin() for _ in range(number)]
        assert len(demo._queue) == number
        for one in left:
            one.close()
        wait_until(lambda: not len(demo._queue), 5)
        slow.let_go()
        assert all(b"complete" in one.read() for one in answered)
    assert len(asked) == at_once
