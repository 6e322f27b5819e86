"""Attacks on the real app, as strangers and foreign pages send them, and what must still work."""

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from gradio_client import Client

from app.bodies import MAX_BODY_BYTES
from app.settings import Settings
from tests.app.asking import PAGE, POLICY, asking, fill_in
from tests.served import page_of, served

BROWSE = {"data": {"text": ""}, "component_id": PAGE, "fn_name": "browse", "session_hash": "s"}
SEARCH = {"data": ["", "", "title", ""]}
JOIN = {"data": [["book-001"]], "fn_index": 0, "session_hash": "s", "trigger_id": PAGE}
SERVER, CALL = "/gradio_api/component_server", "/gradio_api/call/search"
QUEUE = "/gradio_api/queue/join"
VERBS = "there are explain, item, rank, recommend, search, similar"
FUNCTIONS = (
    "there are answer, blind, browse, catalogs, detail, forget, frame, judge, keep, map_item, "
    "map_marks, models, open_map, pushes, record, reveal, scores, whole, why, write"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory, new_service, new_items):
    return new_service(tmp_path_factory.mktemp("gate") / "c.db", new_items(30))


@pytest.fixture(scope="module")
def url(serve, service):
    return serve(service)


@pytest.fixture
def ask(url):
    """Send one request as it is and return status, headers and text."""
    return asking(url)


def refused(answer, status, words):
    """Whether an answer is this status with one sentence as JSON."""
    code, headers, text = answer
    assert code == status, text
    sentence = json.loads(text)["detail"]
    assert words in sentence and "\n" not in sentence
    assert "frame-ancestors 'none'" in headers[POLICY]
    return True


@pytest.fixture
def bait():
    """A server that nobody may ask, and what it was asked."""
    asked = []

    class Bait(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bait)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/secret", asked
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize(
    ("path", "body"), [(CALL, SEARCH), (QUEUE, {**JOIN, "fn_index": 1}), (SERVER, BROWSE)]
)
def test_address_in_place_of_a_value_is_never_fetched(ask, bait, path, body, escaped):
    address, asked = bait
    file = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
    data = [file, "", "title", ""] if path != SERVER else {"text": [{"deep": file}]}
    sent = json.dumps({**body, "data": data})
    if escaped:
        sent = sent.replace('"path"', r'"p\u0061th"').replace("_type", r"\u005ftype")
    assert refused(ask("POST", path, sent.encode()), 400, "only plain values")
    assert asked == []


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/gradio_api/mcp", "/gradio_api/mcp/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_there_are_no_mcp_tools_unless_they_are_asked_for(ask, path, method):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = ask(method, path, body if method == "POST" else None)
    assert refused(answer, 404, "nothing at this address")


def test_a_blind_test_goes_through_the_gate(ask, service):
    history, seed = ["book-001"], "5eed" * 8
    [first, *_] = service.answer(history, "0" * 16, blind_seed=seed).blind.drafts
    pick = {
        "seed": seed, "history": history, "item": first.item_id, "position": 1, "withdrawn": False,
        "filter": {"category": "", "min_price": None, "max_price": None}, "session": "0" * 16,
    }  # fmt: skip
    team = ["hllm", "baseline"][first.team]
    counted = {"team": team, "message": "", "is_stored": True}
    for data, expected in ((pick, counted), ([pick], None), ("x", None)):
        status, _, body = ask("POST", SERVER, {**BROWSE, "fn_name": "blind", "data": data})
        found = json.loads(body)
        assert status == 200 and (found == expected or (expected is None and not found["team"]))
    data = {"wins": {"hllm": 9, "baseline": 1}}
    status, _, body = ask("POST", SERVER, {**BROWSE, "fn_name": "reveal", "data": data})
    assert status == 200 and "unlikely to be chance" in json.loads(body)["chance"]


def test_second_key_of_the_same_name_hides_nothing(ask):
    text = '{"data": [{"path": "http://h/", "path": 1, "meta": {"_type": "gradio.FileData"}}]}'
    assert refused(ask("POST", CALL, text.encode()), 400, "only plain values")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/run/search"),
        ("POST", "/gradio_api/api/search"),
        ("POST", "/gradio_api/call/v2/search"),
        ("POST", "/gradio_api/reset"),
        ("POST", "/login"),
        ("PUT", "/gradio_api/call/search"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/file=app.py"),
        ("GET", "/gradio_api/proxy=https://example.hf.space/x"),
        ("GET", "/gradio_api/dev/reload"),
        ("GET", "/gradio_api/runs"),
        ("GET", "/monitoring"),
        ("GET", "/monitoring/summary"),
        ("GET", "/gradio_api/upload_progress?upload_id=x"),
        ("GET", "/assets/../../routes.py"),
        ("GET", "/static/%2e%2e/%2e%2e/routes.py"),
    ],
)
def test_routes_that_nobody_needs_are_closed(ask, method, path):
    body = b"{}" if method != "GET" else None
    assert refused(ask(method, path, body), 404, "There is nothing at this address.")


def test_large_upload_is_not_kept(ask):
    answer = ask("POST", "/gradio_api/upload", b"x" * 3_000_000)
    assert refused(answer, 404, "nothing at this address")


def test_endless_nesting_is_refused_before_it_is_parsed(ask):
    half = 4_900_000 // 2
    nested = b'{"data": [' + b"[" * half + b"]" * half + b"]}"
    assert refused(ask("POST", CALL, nested), 413, "65536 bytes")
    short = b'{"data": [' + b"[" * 30_000 + b"]" * 30_000 + b"]}"
    assert refused(ask("POST", CALL, short), 400, "nested deeper than")
    assert refused(ask("POST", CALL, b'{"data":' + b'{"a":' * 99), 400, "nested deeper than")
    in_a_text = json.dumps({**SEARCH, "data": ["[[{" * 99 + '"\\', "", "title", ""]})
    assert ask("POST", CALL, in_a_text.encode())[0] == 200


def test_scanning_takes_one_look_at_each_byte(ask):
    assert refused(ask("POST", CALL, b'"' + b'\\"' * 32_000), 400, "JSON")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in chunks"])
def test_long_body_is_refused(ask, announced):
    def chunks():
        for _ in range(10):
            yield b'{"data":' + b" " * (MAX_BODY_BYTES // 9)

    body = b" " * (MAX_BODY_BYTES + 1) if announced else chunks()
    assert refused(ask("POST", SERVER, body), 413, f"{MAX_BODY_BYTES} bytes")


def test_body_of_the_allowed_length_is_answered(ask):
    body = json.dumps(BROWSE).encode()
    assert ask("POST", SERVER, body + b" " * (MAX_BODY_BYTES - len(body)))[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (CALL, b"", 400, "JSON"),
        (CALL, b"[1]", 400, "a JSON object"),
        (CALL, json.dumps(SEARCH).encode("utf-16"), 400, "UTF-8"),
        (CALL, {}, 400, "'data'"),
        (CALL, {"data": {}}, 400, "1 to 4 values: text, category, sort, cursor"),
        (CALL, {"data": []}, 400, "1 to 4 values"),
        (CALL, {"data": [""] * 5}, 400, "1 to 4 values"),
        (CALL, {**SEARCH, "session_hash": {"a": 1}}, 400, "session_hash"),
        (CALL, {**SEARCH, "simple_format": False}, 400, "only the keys data, session_hash"),
        (CALL, b'{"data": [1' + b"0" * 30 + b"]}", 400, "64 bits"),
        (CALL, b'{"data": [NaN]}', 400, "NaN"),
        ("/gradio_api/call/recompute", {"data": [{}]}, 404, VERBS),
        ("/gradio_api/call/nothing", SEARCH, 404, VERBS),
        (QUEUE, {**JOIN, "session_hash": None}, 400, "session_hash"),
        (QUEUE, {**JOIN, "fn_index": 99}, 404, "fn_index"),
        (QUEUE, {**JOIN, "fn_index": [0]}, 404, "fn_index"),
        (QUEUE, {**JOIN, "fn_index": True}, 404, "fn_index"),
        (QUEUE, {**JOIN, "trigger_id": 7777}, 404, "trigger_id"),
        (QUEUE, {**JOIN, "batched": True}, 400, "only the keys"),
        (QUEUE, {**JOIN, "data": []}, 400, "1 to 5 values: history"),
        (SERVER, {**BROWSE, "component_id": 7777}, 404, "component_id"),
        (SERVER, {**BROWSE, "component_id": [PAGE]}, 404, "component_id"),
        (
            SERVER,
            {**BROWSE, "fn_name": "get_config"},
            404,
            FUNCTIONS,
        ),
        (
            SERVER,
            {**BROWSE, "fn_name": ["browse"]},
            404,
            FUNCTIONS,
        ),
    ],
)
def test_mistake_gets_a_sentence_and_leaves_no_traceback(ask, capfd, path, body, status, words):
    assert refused(ask("POST", path, body), status, words)
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("search", ["", "", ["title"]], "sort must be a text, not list"),
        ("search", [None], "text must be a text"),
        ("search", ["", "", "nonsense"], "sort must be one of"),
        ("recommend", ["book-001"], "history must be a list"),
        ("recommend", [[]], "at least one item_id"),
        ("recommend", [["book-001"], "x"], "top_k must be a whole number"),
    ],
)
def test_senseless_value_gets_a_sentence_and_leaves_no_traceback(ask, capfd, name, data, words):
    path = f"/gradio_api/call/{name}"
    event = json.loads(ask("POST", path, {"data": data})[2])["event_id"]
    answer = ask("GET", f"{path}/{event}")[2]
    assert "event: error" in answer and words in answer
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "path", ["/gradio_api/queue/data?session_hash=nobody", "/gradio_api/call/search/nothing"]
)
def test_unknown_session_is_said_and_leaves_no_traceback(ask, caplog, path):
    status, _, text = ask("GET", path)
    assert status == 200 and ("session_not_found" in text or "event: error" in text)
    assert "Traceback" not in caplog.text


def test_other_content_types_are_refused(ask):
    for kind in ("text/plain", "multipart/form-data; boundary=x", ""):
        answer = ask("POST", SERVER, json.dumps(BROWSE).encode(), Content_Type=kind)
        assert refused(answer, 415, "application/json")


@pytest.mark.parametrize("path", ["/", SERVER])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example"])
def test_name_that_points_here_but_is_not_ours_is_refused(ask, host, path):
    method, body = ("GET", None) if path == "/" else ("POST", BROWSE)
    assert refused(ask(method, path, body, host=host), 403, "--allowed-hosts")


def test_own_names_are_answered(ask):
    for host in ("localhost:7860", "127.0.0.1", "[::1]:7860", "192.168.1.5:7860", "LOCALHOST."):
        assert ask("GET", "/", host=host)[0] == 200, host


@pytest.mark.parametrize(("path", "body"), [(SERVER, BROWSE), (CALL, SEARCH), (QUEUE, JOIN)])
def test_pages_of_others_cannot_call(ask, url, path, body):
    port = urlsplit(url).port
    for origin in ("https://evil.example", "null", f"http://localhost:{port + 1}", "http://[x"):
        assert refused(ask("POST", path, body, Origin=origin), 403, "other sites")
    own = ask("POST", path, body, Origin=url)
    assert own[0] == 200, own[2]


def test_names_from_the_settings_are_answered(service, monkeypatch):
    monkeypatch.setenv("SPACE_HOST", "me-books.hf.space, books.example.com")
    settings = Settings(host="127.0.0.1", allowed_hosts=("mine.example",))

    def status(host, origin):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        headers = {"Host": host, "Origin": origin, "Content-Type": "application/json"}
        body = fill_in(url, json.dumps(BROWSE).encode())
        connection.request("POST", SERVER, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def policy(host):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().headers[POLICY]

    with served(page_of(service, settings)) as (_, url):
        assert "https://huggingface.co" in policy("me-books.hf.space")
        assert status("me-books.hf.space", "https://me-books.hf.space") == 200
        assert status("books.example.com", "https://books.example.com") == 200
        assert status("127.0.0.1:7860", "https://mine.example") == 200
        assert status("mine.example", "https://mine.example") == 200
        assert status("me-books.hf.space", "https://evil.hf.space") == 403
        assert status("evil.example", "https://evil.example") == 403


def test_programs_get_answers_with_and_without_defaults(ask, url):
    client = Client(url, verbose=False)
    assert client.predict("number 7", api_name="/search")["items"][0]["item_id"] == "book-007"
    assert client.predict(["book-001"], 3, api_name="/recommend")["history"] == ["book-001"]
    path = "/gradio_api/call/recommend"
    event = json.loads(ask("POST", path, {"data": [["book-001"]]})[2])["event_id"]
    answer = ask("GET", f"{path}/{event}")[2]
    assert "event: complete" in answer and '"book-001"' in answer


def test_the_page_and_its_parts_come_compressed_and_streams_do_not(ask):
    plain_status, _, plain = ask("GET", "/config")
    status, headers, _ = ask("GET", "/config", Accept_Encoding="gzip")
    assert (plain_status, status) == (200, 200)
    assert headers["Content-Encoding"] == "gzip" and "frame-ancestors" in headers[POLICY]
    assert int(headers["Content-Length"]) < len(plain) / 2
    _, headers, _ = ask("GET", "/", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    call = ask("POST", CALL, SEARCH, Accept_Encoding="gzip")
    number = json.loads(call[2])["event_id"]
    _, headers, text = ask("GET", f"{CALL}/{number}", Accept_Encoding="gzip")
    assert "Content-Encoding" not in headers and "event: complete" in text
