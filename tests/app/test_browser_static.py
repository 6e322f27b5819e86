"""The page without a server in a real browser: every connection but to its plain files is cut."""

import json
import re
import shutil
import socket
import subprocess
import sys
from urllib.parse import urlencode, urlsplit
from urllib.request import urlopen

import pytest

from app.export_static import main
from tests.app.axe import needs_axe, serious_problems
from tests.waiting import wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 900), (390, 844)
TOLERANCE = 1e-3  # of a score
SCORES = """() => [...document.querySelectorAll(".hllm-column .rec, .baseline-column .rec")]
    .map(row => [row.dataset.source, row.dataset.id,
        parseFloat(row.querySelector(".rec-score").title.replace("score ", ""))])"""
FIRST_LISTS_MS = 60_000  # WebAssembly is compiled


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built-in books, served from a folder of a plain file server, as GitHub Pages has it."""
    root = tmp_path_factory.mktemp("site")
    assert main([str(root / "me" / "demo"), f"--data-dir={root.parent / 'data'}"]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", root]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}/me/demo/"

    def answers():
        try:
            return urlopen(address, timeout=5).status == 200
        except OSError:
            return False

    wait_until(answers)
    yield address
    server.terminate()
    server.wait(10)


@pytest.fixture
def open_static(open_page, chromium, site):
    """Opens the page; whatever would leave for elsewhere, or above its folder, is cut and told."""
    asked, contexts = [], []

    def open_at(size=DESKTOP, path="", **options):
        viewport = {"width": size[0], "height": size[1]}
        context = chromium.new_context(viewport=viewport, **options)
        contexts.append(context)

        def only_files(route):
            asked.append(route.request.url)
            inside = route.request.url.startswith(site)
            route.continue_() if inside else route.abort()

        context.route("**/*", only_files)
        return open_page(site + path, size, context)

    yield open_at
    for context in contexts:
        context.close()
    assert asked and all(url.startswith(site) for url in asked)
    assert not any(part in url for url in asked for part in ("gradio", "robots.txt"))


def lists_stand(page, history):
    page.wait_for_function(
        """ids => { const root = document.querySelector(".hllm");
            return root.dataset.history === ids && root.querySelector(".baseline-column .rec")
                && root.querySelector(".hllm-column .rec")
                && root.querySelector(".answers").getAttribute("aria-busy") === "false"; }""",
        arg=" ".join(history),
        timeout=FIRST_LISTS_MS,
    )


def test_fifty_histories_have_the_servers_recommendations(open_static, pytestconfig):
    golden = pytestconfig.rootpath / "tests" / "app" / "books" / "golden.json"
    expected = json.loads(golden.read_text("utf-8"))
    page = open_static()
    catalog = page.locator(".hllm").get_attribute("data-catalog")
    assert len(expected["histories"]) == 50
    for place, history in enumerate(expected["histories"]):
        parts = urlencode([("v", "1"), ("c", catalog), *(("h", item) for item in history)])
        page.evaluate("hash => { location.hash = hash }", parts)
        lists_stand(page, history)
        shown = {"hllm": [], "baseline": []}
        for key, item, score in page.evaluate(SCORES):
            shown[key].append((item, score))
        for key, found in shown.items():
            before = expected[key][place]
            assert len(found) == 10
            scores = [score for _, score in found[: len(before)]]
            assert scores == pytest.approx([score for _, score in before], abs=TOLERANCE), history
            known = dict(found)
            for item, score in before:  # those of nearly one score may change places
                is_last = score < found[-1][1] + TOLERANCE
                assert is_last or known[item] == pytest.approx(score, abs=TOLERANCE), history


def test_a_visit(open_static):
    page = open_static()
    page.wait_for_selector(".hllm-column .rec", timeout=FIRST_LISTS_MS)
    page.locator(".card").first.click()
    first = page.locator(".card").first.get_attribute("data-id")
    lists_stand(page, [first])
    page.locator(".search").fill("harry pot")
    expect(page.locator(".card-title").first).to_contain_text("Harry Potter")
    page.locator(".card").first.click()
    second = page.locator(".card").first.get_attribute("data-id")
    lists_stand(page, [first, second])
    expect(page.locator(".score-line")).to_contain_text("HLLM #")
    page.locator(".hllm-column .info").first.click()
    expect(page.locator(".drawer .changes tbody tr")).to_have_count(2)
    expect(page.locator(".drawer .nears")).to_have_count(2)
    expect(page.locator(".drawer")).to_contain_text("What the Item LLM was given")
    page.keyboard.press("Escape")
    page.locator(".category").select_option(index=1)
    expect(page.locator(".browse-count")).to_have_text(re.compile(r"^(\d+ items?|No items)$"))
    page.reload()
    lists_stand(page, [first, second])


def test_what_needs_a_server_is_not_offered_and_said(open_static):
    page = open_static()
    page.wait_for_selector(".hllm-column .rec", timeout=FIRST_LISTS_MS)
    expect(page.locator("[data-action=write]")).to_be_hidden()
    expect(page.get_by_text("Writing an item of one\u2019s own needs the Item LLM")).to_be_visible()
    expect(page.locator(".foot")).to_contain_text("There is no server")
    page.locator(".menu > button").click()
    entries = page.get_by_role("menuitem").all_text_contents()
    checked = page.get_by_role("menuitemcheckbox").all_text_contents()
    assert entries == ["Copy link", "What needs a server \u2026"] and checked == ["Stage mode"]
    page.get_by_role("menuitem").last.click()
    expect(page.locator(".notices")).to_contain_text("the blind test, downloads")
    page.locator("[data-band=score]").click()
    expect(page.locator(".score-note")).to_contain_text("need a server to keep them")
    page.locator("[data-band=how]").click()
    expect(page.locator(".how-panel .switch")).to_be_hidden()
    expect(page.locator(".how-panel")).to_contain_text("WebAssembly in this browser")


@needs_axe
@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_everybody_can_use_it(open_static, size, scheme):
    page = open_static(size, color_scheme=scheme, bypass_csp=True)  # axe is put into the page
    page.wait_for_selector(".hllm-column .rec", state="attached", timeout=FIRST_LISTS_MS)
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert serious_problems(page) == []


def test_files_that_do_not_come_are_told(open_page, chromium, site):
    context = chromium.new_context()
    context.route("**/model/*", lambda route: route.abort())
    page = context.new_page()
    page.goto(site)
    message = page.locator(".hllm-column .column-message")
    expect(message).to_contain_text("HLLM could not be loaded")
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    assert urlsplit(page.url).path == "/me/demo/"
    context.close()
