"""Seeded mistakes of programs against the open routes: each gets 4xx and a sentence, no traceback.

FastAPI, Gradio and our handlers are all behind these routes; what they make of nonsense is not ours
to know beforehand.
"""

import http.client
import json
import random
from urllib.parse import urlsplit

import pytest

SERVER, JOIN = "/gradio_api/component_server", "/gradio_api/queue/join"
CALLS = ("/gradio_api/call/search", "/gradio_api/call/recommend")
READ = (
    "/",
    "/config",
    "/theme.css",
    "/covers",
    "/map/script",
    "/map/points",
    "/static/x",
    "/assets/index.js",
    "/gradio_api/info",
    "/gradio_api/queue/data",
    "/gradio_api/call/search/0",
    "/-/health",
    "/-/ready",
)
QUERY_NAMES = ("item", "v", "session_hash", "x")
QUERY_VALUES = ("", "a", "%00", "%ff", "book-001", "x" * 500)
FUNCTIONS = ("browse", "record", "detail", "why", "forget")
SCALARS = (
    None,
    True,
    0,
    -1,
    7,
    2**62,
    1e308,
    -0.5,
    "",
    "a",
    "book-001",
    "\x00",
    "\ud7ff",
    "%s{}",
    "x" * 3000,
)
KEYS = (
    "text",
    "category",
    "sort",
    "cursor",
    "history",
    "item_id",
    "session",
    "sessions",
    "version",
    "filter",
    "min_price",
    "max_price",
    "example",
    "source",
    "rank",
)


def value_of(choose, depth=0):
    """Any JSON value that passes the gate's own bounds."""
    kind = choose.random()
    if depth > 3 or kind < 0.6:
        return choose.choice(SCALARS)
    count = choose.choice((0, 1, 2, 60))
    if kind < 0.8:
        return [value_of(choose, depth + 2) for _ in range(count)]
    return {key: value_of(choose, depth + 1) for key in choose.sample(KEYS, min(count, len(KEYS)))}


def request_of(choose, page):
    """Method, path and body of a request."""
    kind = choose.randrange(5)
    if kind == 0:
        asked = "&".join(
            f"{choose.choice(QUERY_NAMES)}={choose.choice(QUERY_VALUES)}"
            for _ in range(choose.randrange(3))
        )
        return (
            choose.choice(("GET", "HEAD")),
            choose.choice(READ) + ("?" + asked if asked else ""),
            None,
        )
    if kind == 1:
        body = {
            "data": value_of(choose),
            "component_id": page,
            "fn_name": choose.choice(FUNCTIONS),
            "session_hash": "f",
        }
        return "POST", SERVER, body
    if kind == 2:
        body = {
            "data": [value_of(choose)],
            "fn_index": choose.choice((0, 1, 2, 9)),
            "session_hash": "f",
            "trigger_id": page,
        }
        return "POST", JOIN, body
    data = [value_of(choose) for _ in range(choose.randrange(6))]
    return "POST", choose.choice(CALLS), {"data": data}


@pytest.fixture
def send(serve, new_service, new_items, tmp_path):
    url = serve(new_service(tmp_path / "c.db", new_items(30)))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def ask(method, path, body=None):
        raw = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, raw, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    yield ask
    connection.close()


def fuzz(send, capfd, seed, count):
    page = next(
        c["id"] for c in json.loads(send("GET", "/config")[1])["components"] if c["type"] == "html"
    )
    choose = random.Random(seed)
    for number in range(count):
        method, path, body = request_of(choose, page)
        status, text = send(method, path, body)
        if path in CALLS and status == 200:
            status, text = send("GET", f"{path}/{json.loads(text)['event_id']}")
        said = "".join(capfd.readouterr())
        sent = f"{method} {path} {json.dumps(body)[:300]}"
        case = f"seed {seed}, number {number}: {sent} -> {status} {text[:300]}"
        assert status < 500, case
        assert "Traceback" not in said, f"{case}\n{said[-2000:]}"


def test_mistakes_of_programs_are_told_and_leave_no_traceback(send, capfd):
    fuzz(send, capfd, seed=1, count=150)


@pytest.mark.slow
def test_many_mistakes_of_programs_are_told_and_leave_no_traceback(send, capfd):
    fuzz(send, capfd, seed=2, count=4000)
