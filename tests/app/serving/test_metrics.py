import json
import subprocess
import sys
from collections import Counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings
from app.ui import build_demo, open_metrics, web_app
from hllm.serving.history_encoder import EncoderCounts
from tests.served import page_of, served

SECRET = "book-001"


def post(url, path, body):
    headers = {"Content-Type": "application/json"}
    with urlopen(Request(url + path, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)


def call_function(url, name, data):
    with urlopen(f"{url}/config") as config:
        components = json.load(config)["components"]
    number = next(c["id"] for c in components if c["type"] == "html")
    body = {"data": data, "component_id": number, "fn_name": name, "session_hash": "s"}
    return post(url, "/gradio_api/component_server", body)


def samples(url):
    """All samples: (name, labels) -> value; and the text itself."""
    with urlopen(f"{url}/-/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["Cache-Control"] == "no-store"
        text = answer.read().decode()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return found, text


@pytest.fixture
def service(tmp_path, new_service, new_items):
    return new_service(tmp_path / "c.db", new_items(12))


@pytest.fixture
def url(tmp_path, service):
    with served(page_of(service, Settings(data_dir=tmp_path, metrics=True))) as (_, url):
        yield url


def test_nothing_is_there_unless_it_is_asked_for(tmp_path, service):
    with served(page_of(service, Settings(data_dir=tmp_path))) as (_, url):
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{url}/-/metrics")
        assert refused.value.code == 404
        assert "nothing at this address" in refused.value.read().decode()


@pytest.mark.slow
def test_without_metrics_their_library_is_not_imported():
    code = "import sys, app.ui; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_answers_are_counted_by_kind_and_timed(url):
    with urlopen(url) as page:
        page.read()
    call_function(url, "browse", {"text": SECRET})
    call_function(url, "browse", {"text": ""})
    post(url, "/gradio_api/call/search", {"data": [SECRET]})
    found, text = samples(url)
    assert found["hllm_requests_total", "200", "browse"] == 2
    assert found["hllm_requests_total", "200", "call_search"] == 1
    assert found["hllm_requests_total", "200", "page"] == 3  # the page, and /config twice
    assert found["hllm_request_duration_seconds_count", "browse"] == 2
    assert found["hllm_request_duration_seconds_bucket", "+Inf", "browse"] == 2
    assert SECRET not in text and "127.0.0.1" not in text


def test_strange_requests_make_no_new_labels(url):
    for path in ("/wp-login.php", "/-/other", "/a", "/b"):
        with pytest.raises(HTTPError):
            urlopen(url + path)
    with urlopen(f"{url}/gradio_api/call/nowhere/x") as answer:
        answer.read()
    found, text = samples(url)
    assert found["hllm_requests_total", "200", "call_result"] == 1
    assert found["hllm_refusals_total", "404", "gate"] == 4
    assert "wp-login" not in text and "nowhere" not in text
    with pytest.raises(HTTPError):
        call_function(url, "x" * 30, {})
    assert "xxx" not in samples(url)[1]


def test_what_models_and_line_count(url, service, monkeypatch):
    counts = EncoderCounts(encoded=3, reused=40, prepared=7, batches=Counter({1: 5, 3: 2, 16: 1}))
    monkeypatch.setattr(service.columns[0], "counts", lambda: counts)
    found, _ = samples(url)
    assert found["hllm_visitors_waiting",] == 0
    assert found["hllm_busy_answers_total",] == 0
    assert found["hllm_model_ready", "hllm"] == found["hllm_model_ready", "baseline"] == 1
    assert found["hllm_history_items_total", "hllm", "known"] == 40
    assert found["hllm_history_items_total", "hllm", "read"] == 3
    assert found["hllm_history_items_total", "ahead", "hllm"] == 7
    sizes = {
        (set(key[1:]) - {"hllm"}).pop().removesuffix(".0"): value
        for key, value in found.items()
        if key[0] == "hllm_batch_size_bucket"
    }
    assert sizes == {"1": 5, "2": 5, "4": 7, "8": 7, "16": 8, "+Inf": 8}
    assert found["hllm_batch_size_sum", "hllm"] == 5 + 6 + 16


def test_model_that_is_not_loaded_is_not_ready(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(3), loaded=False)
    with served(page_of(service, Settings(data_dir=tmp_path, metrics=True))) as (_, url):
        assert samples(url)[0]["hllm_model_ready", "hllm"] == 0


def test_refusals_of_the_server_are_counted(tmp_path, service):
    settings = Settings(data_dir=tmp_path, metrics=True)
    metrics = open_metrics(service, settings)
    app = web_app(build_demo(service), service, settings, metrics)
    with served(app, on_refusal=metrics.refused_by_server) as (_, url):
        metrics.refused_by_server("header")
        assert samples(url)[0]["hllm_refusals_total", "header", "server"] == 1


def test_two_apps_count_for_themselves(service):
    first, second = (open_metrics(service, Settings(metrics=True)) for _ in range(2))
    first.answered("page", 200, 0.1)
    sample = "hllm_requests_total", {"kind": "page", "status": "200"}
    assert first._registry.get_sample_value(*sample) == 1
    assert second._registry.get_sample_value(*sample) is None
