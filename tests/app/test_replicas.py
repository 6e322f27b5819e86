"""Two replicas behind one address, one of them killed while visitors click: nothing is lost."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from app.books.facts import build_books_catalog
from app.catalog.opening import copy_into
from tests.balancer import Balancer
from tests.waiting import wait_until

pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from app.catalog.postgres.server import EVENTS_SCHEMA, connect  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "assets" / "books" / "model"
BASELINE = ROOT / "assets" / "books" / "baseline.safetensors"
CLICKS, KILLED_AFTER = 8, 3
START_S = 180  # a guard; both replicas start at once on a machine that does other things, too

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]


class Replica:
    """The app as an operator starts it."""

    def __init__(self, database, folder):
        self.log = folder / "log"
        self.process = subprocess.Popen(
            [
                sys.executable, "app.py", "--catalog", database.url, "--model", MODEL,
                "--baseline", BASELINE, "--data-dir", folder, "--host", "127.0.0.1",
            ],
            cwd=ROOT, stdout=self.log.open("wb"), stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip

    def port(self):
        wait_until(lambda: self._address() or self.process.poll() is not None, START_S)
        assert self._address(), self.log.read_text()
        return int(self._address()[1])

    def _address(self):
        return re.search(r"http://[\d.]+:(\d+)", self.log.read_text())

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def is_ready(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=30).status == 200
    except urllib.error.HTTPError:
        return False


@pytest.fixture
def replicas(database, tmp_path):
    build_books_catalog(tmp_path / "books.db")
    copy_into(database, tmp_path / "books.db")
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            found.append(Replica(database, folder))
            stack.callback(found[-1].end)
            found[-1].port()  # the next one takes another
        for replica in found:
            wait_until(lambda replica=replica: is_ready(replica.port()), START_S)
        yield found


@pytest.fixture
def visitors(chromium):
    """Opens the page of visitors, each in a browser of its own; a lost connection is no failure."""
    with ExitStack() as stack:

        def visit(url):
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.errors = []
            page.on("pageerror", lambda error: page.errors.append(str(error)))
            page.goto(url)
            page.wait_for_selector(".grid[aria-busy=false] .card")
            return page

        yield visit


def click(page, number):
    """Click an item of the catalogue; gives its id."""
    card = page.locator(".grid .card").nth(number)
    item = card.get_attribute("data-id")
    card.click()
    return item


def history_of(page):
    return page.locator(".hllm").get_attribute("data-history").split()


def clicks_of(database):
    """(session, item) of every click that is kept."""
    with connect(database, EVENTS_SCHEMA) as connection:
        rows = connection.execute("SELECT session, item_ids FROM events WHERE kind = 'clicked'")
        return [(session, json.loads(ids)[0]) for session, ids in rows.fetchall()]


def test_a_killed_replica_costs_no_visitor_a_history_or_an_event(replicas, visitors, database):
    with closing(Balancer([replica.port() for replica in replicas])) as balancer:
        pages = [visitors(balancer.url) for _ in range(2)]
        assert all(balancer.served.values())  # both have answered
        clicked = [[], []]
        for number in range(CLICKS):
            for page, items in zip(pages, clicked, strict=True):
                items.append(click(page, number))
            if number == KILLED_AFTER:  # with both clicks under way
                replicas[0].process.send_signal(signal.SIGKILL)
                replicas[0].process.wait(60)
        for page, items in zip(pages, clicked, strict=True):
            wait_until(lambda page=page, items=items: pumped(page) and history_of(page) == items)
            assert page.errors == []

        def all_told():
            return all(pumped(page) and not waiting_in(page) for page in pages)

        wait_until(all_told)
        told = clicks_of(database)
        assert len(told) == len(set(told)), "an event is there twice"
        assert sorted(item for _, item in told) == sorted(clicked[0] + clicked[1])
        assert len({session for session, _ in told}) == 2
        for page, items in zip(pages, clicked, strict=True):
            page.reload()
            wait_until(lambda page=page, items=items: pumped(page) and history_of(page) == items)


def pumped(page):
    """Let the browser's messages in, which come while something is asked of it."""
    page.wait_for_timeout(20)
    return True


def waiting_in(page):
    """What the page has still to tell, of clicks and picks."""
    return page.evaluate(
        "Object.entries(sessionStorage)"
        ".filter(([key]) => key.endsWith('/clicks') || key.endsWith('/untold'))"
        ".flatMap(([, text]) => JSON.parse(text)).length"
    )
