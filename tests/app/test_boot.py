"""The real app as a subprocess, as a stranger starts it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from app.catalog import Catalog
from tests.app.test_api import VERBS
from tests.guides.pages import block, inline
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
MAX_START_S = 90  # a guard against hanging; how long it takes is measured elsewhere


def start(*arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_url(process):
    lines = []
    deadline = time.monotonic() + MAX_START_S
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        lines.append(line)
        found = re.search(r"http://[\d.:]+", line)
        if found:
            return found[0], lines
        if not line and process.poll() is not None:
            break
    raise AssertionError("the app did not start:\n" + "".join(lines))


def fails(*arguments, **environ):
    process = start(*arguments, **environ)
    output, _ = process.communicate(timeout=MAX_START_S)
    return process.returncode, output


@pytest.fixture(scope="module")
def app_url(tmp_path_factory):
    process = start("--data-dir", str(tmp_path_factory.mktemp("data")), "--host", "127.0.0.1")
    try:
        yield wait_for_url(process)[0]
    finally:
        process.terminate()
        process.wait(20)


def answer_of_loaded_models(client, *arguments):
    """What /recommend answers once both built-in models are there."""
    answers = []

    def is_loaded():
        answers.append(client.predict(*arguments, api_name="/recommend"))
        return all(model["state"] != "loading" for model in answers[-1]["models"])

    wait_until(is_loaded, MAX_START_S)
    states = [(model["state"], model["message"]) for model in answers[-1]["models"]]
    assert states == [("ready", "")] * 2
    return answers[-1]


def about(app_url, example):
    """An example of docs/programs.md, about this app."""
    return example.replace("http://127.0.0.1:7860", app_url)


@pytest.mark.slow
def test_the_documented_lines_of_a_program_run(app_url, capsys):
    answer_of_loaded_models(Client(app_url, verbose=False), ["dune-herbert"], 1)
    lines = about(app_url, block("programs.md", "client"))
    wait_until(lambda: "loading" not in rank_state(app_url), MAX_START_S)
    exec(compile(lines, "programs.md", "exec"), {})
    text, similar, changes, rank = capsys.readouterr().out.strip().rsplit("\n", 3)
    assert text.startswith("title: ") and similar.count("'cosine'") == 3
    assert changes.count("'change'") == 2 and int(rank) > 0


@pytest.mark.slow
def test_the_documented_lines_of_an_mcp_client_run(tmp_path, capsys):
    pytest.importorskip("mcp", reason="requirements-mcp.txt is not installed")
    options = inline("programs.md", "python app.py --mcp").split()[2:]
    process = start(*options, "--data-dir", str(tmp_path), "--host", "127.0.0.1")
    try:
        url = wait_for_url(process)[0]
        assert f"MCP tools are at {url}/mcp" in process.stdout.readline()
        answer_of_loaded_models(Client(url, verbose=False), ["dune-herbert"], 1)
        lines = about(url, block("programs.md", "mcp"))
        exec(compile(lines, "programs.md", "exec"), {})
    finally:
        process.terminate()
        process.wait(20)
    assert process.returncode == 0
    item_id, answer = capsys.readouterr().out.strip().split("\n")
    assert "earthsea" in item_id and answer.count("'change'") == 4


def rank_state(app_url):
    try:
        Client(app_url, verbose=False).predict(["dune-herbert"], "x", api_name="/rank")
    except AppError as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_the_documented_lines_of_curl_run(app_url):
    answer_of_loaded_models(Client(app_url, verbose=False), ["dune-herbert"], 1)
    lines = about(app_url, block("programs.md", "curl"))
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, timeout=60)
    assert "event: complete" in done.stdout and done.stdout.count('"change"') == 4


def test_program_finds_an_item_and_gets_recommendations(app_url):
    client = Client(app_url, verbose=False)
    found = client.predict("earthsea", "", "popularity", "", api_name="/search")
    assert found["items"][0]["title"] == "A Wizard of Earthsea"
    item_id = found["items"][0]["item_id"]
    answer = answer_of_loaded_models(client, [item_id], 5)
    assert answer["history"] == [item_id]
    for model in answer["models"]:
        assert len({item["item_id"] for item in model["items"]} - {item_id}) == 5


def test_endpoints_are_described_and_no_others(app_url):
    described = Client(app_url, verbose=False).view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {f"/{name}" for name in VERBS}
    parameters = described["named_endpoints"]["/recommend"]["parameters"]
    names = ["history", "top_k", "category", "min_price", "max_price"]
    assert [p["parameter_name"] for p in parameters] == names
    assert [p["parameter_has_default"] for p in parameters] == [False, True, True, True, True]


def test_program_gets_recommendations_of_a_category(app_url):
    client = Client(app_url, verbose=False)
    mysteries = client.predict("", "Mystery", "title", "", api_name="/search")
    history = [mysteries["items"][0]["item_id"]]
    answer = answer_of_loaded_models(client, history, 5, "Mystery")
    for model in answer["models"]:
        assert model["num_candidates"] == mysteries["total"] > 5
    with pytest.raises(Exception, match="There is no category 'Nowhere'"):
        client.predict(history, 5, "Nowhere", api_name="/recommend")
    with pytest.raises(Exception, match="min_price"):
        client.predict(history, 5, "", 7, 2.5, api_name="/recommend")


def test_senseless_call_is_refused_with_a_sentence(app_url):
    with pytest.raises(Exception, match="from 1 to 100"):
        Client(app_url, verbose=False).predict(["a"], 5000, api_name="/recommend")


def test_two_programs_never_see_each_other(app_url):
    one, two = Client(app_url, verbose=False), Client(app_url, verbose=False)
    items = one.predict("", "", "title", "", api_name="/search")["items"]
    first, second = items[0]["item_id"], items[1]["item_id"]
    assert one.predict([first], 1, api_name="/recommend")["history"] == [first]
    assert two.predict([second], 1, api_name="/recommend")["history"] == [second]
    assert one.predict([first], 1, api_name="/recommend")["history"] == [first]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--catalog", "There is no catalogue"),
        ("--model", "check --model"),
    ],
)
def test_mistake_at_the_start_is_one_sentence_and_code_2(tmp_path, option, message):
    code, output = fails(option, str(tmp_path / "missing"), "--data-dir", str(tmp_path))
    assert code == 2
    assert message in output
    assert "Traceback" not in output


@pytest.mark.slow
def test_catalogue_and_port_come_from_the_environment_too(tmp_path):
    with Catalog.create(tmp_path / "mine.db", name="Mine") as catalog:
        catalog.add_items([])
    process = start(HLLM_CATALOG=str(tmp_path / "mine.db"))
    try:
        url, _ = wait_for_url(process)
        assert Client(url, verbose=False).predict("", "", "title", "", api_name="/search") == {
            "items": [],
            "total": 0,
            "next_cursor": None,
        }
    finally:
        process.terminate()
        process.wait(20)
