"""The page in a real browser: bytes, time from a click to the painted list, slow network, shifts.

    python benchmarks/bench_page.py [--clicks 40] [--url http://127.0.0.1:7860]

Starts the app with the built-in books and an empty data folder, or takes one that runs (--url), and
drives headless Chromium. Bytes are those received, as sent: headers and compression included. A
click is timed in the page, from the event until both new lists are painted. Slow 3G is the preset
of Chrome's developer tools. Layout shift is the sum of all shifts without a visitor's doing, an
upper bound of CLS. Needs playwright and chromium.
"""

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.bench_start import ROOT, wait_for_answer, wait_for_page
from benchmarks.measure import machine_line

ITEM = "dune-herbert"
LONG = 48  # items of a long history; the first page of the catalogue has as many
SLOW_3G = {
    "offline": False,
    "latency": 2000,
    "downloadThroughput": 50_000,
    "uploadThroughput": 50_000,
}
PAUSE_MS = 1000  # of a visitor who looks at the lists before the next click
QUIET_MS = 1500  # without traffic, after which a visit or a click is over
LIMIT_MS = 120_000
# What the page still has to tell of earlier clicks, again if it was not stored in time.
ALL_TOLD = """
() => Object.keys(sessionStorage).filter((key) => /\\/(clicks|untold)$/.test(key))
  .every((key) => sessionStorage.getItem(key) === "[]")
"""
COUNT_SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
# Presses a card and waits until the lists of that history are painted.
CLICK = """
(at) => new Promise((resolve) => {
  const root = document.querySelector(".hllm");
  const card = document.querySelectorAll(".card")[at];
  const answers = root.querySelector(".answers");
  const started = performance.now();
  const observer = new MutationObserver(() => {
    const last = root.dataset.history.split(" ").at(-1);
    if (last !== card.dataset.id || answers.getAttribute("aria-busy") === "true") return;
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - started)));
  });
  observer.observe(root, { attributes: true, subtree: true });
  card.click();
})
"""


class Traffic:
    """What a page has received, from the events of the browser's network."""

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}
        self._changed_at = time.monotonic()
        self._session: Any = None

    def listen(self, context: BrowserContext, page: Page) -> Any:
        """Count from now on; gives the session, by which the network can be slowed."""
        session = self._session = context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", lambda event: self.started(event["requestId"]))
        session.on(
            "Network.dataReceived",
            lambda event: self.received(event["requestId"], event["encodedDataLength"]),
        )
        session.on(
            "Network.loadingFinished",
            lambda event: self.finished(event["requestId"], event["encodedDataLength"]),
        )
        session.send("Network.enable")
        return session

    def started(self, request: str) -> None:
        """A request was sent."""
        self._bytes.setdefault(request, 0)
        self._changed_at = time.monotonic()

    def received(self, request: str, size: int) -> None:
        """Part of an answer came."""
        self._bytes[request] = self._bytes.get(request, 0) + size
        self._changed_at = time.monotonic()

    def finished(self, request: str, size: int) -> None:
        """An answer is complete: its size now includes the headers."""
        # Of a part that has come before, as of a stream, nothing is counted twice.
        self._bytes[request] = max(self._bytes.get(request, 0), size)
        self._changed_at = time.monotonic()

    @property
    def requests(self) -> int:
        """How many there were."""
        return len(self._bytes)

    @property
    def total(self) -> int:
        """Bytes that were received."""
        return sum(self._bytes.values())

    def end(self) -> None:
        """Count no longer."""
        self._session.detach()

    def wait_until_quiet(self, page: Page) -> None:
        """Wait until nothing has come for a while."""
        while (time.monotonic() - self._changed_at) * 1e3 < QUIET_MS:
            page.wait_for_timeout(100)


def open_page(browser: Browser, url: str, **slow: Any) -> tuple[Page, Traffic]:
    """A first visit, in a profile of its own, up to a catalogue that can be clicked."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(LIMIT_MS)
    page.add_init_script(COUNT_SHIFTS)
    traffic = Traffic()
    session = traffic.listen(context, page)
    if slow:
        session.send("Network.emulateNetworkConditions", slow)
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".grid[aria-busy=false] .card", state="attached")
    return page, traffic


def first_visit(browser: Browser, url: str) -> Iterator[str]:
    """Requests, bytes and shifts until both lists of the example stand."""
    started = time.monotonic()
    page, traffic = open_page(browser, url)
    page.wait_for_selector(".hllm-column .rec", state="attached")
    page.wait_for_selector(".baseline-column .rec", state="attached")
    yield f"{'first visit, both lists after':34}{time.monotonic() - started:10.1f} s"
    traffic.wait_until_quiet(page)
    yield f"{'first visit':34}{traffic.requests:8} requests{traffic.total / 1e3:10.0f} KB"
    yield f"{'layout shift of it':34}{page.evaluate('window.shifts'):10.3f}"
    page.context.close()


def clicks(browser: Browser, url: str, count: int) -> Iterator[str]:
    """Time of each click on the first cards, without a pause and with one."""
    for how, pause_ms in (("without a pause", 0), ("a second apart", PAUSE_MS)):
        page, traffic = open_page(browser, url)
        page.wait_for_selector(".baseline-column .rec", state="attached")
        traffic.wait_until_quiet(page)
        traffic.end()  # counting takes time of the page's own
        times = []
        for at in range(count):
            page.wait_for_timeout(pause_ms)
            times.append(page.evaluate(CLICK, at))
        yield from _lines(how, times)
        page.context.close()


def bytes_of_clicks(browser: Browser, url: str) -> Iterator[str]:
    """Bytes of the first click and of one with a long history, and layout shifts of all clicks."""
    page, traffic = open_page(browser, url)
    page.wait_for_selector(".baseline-column .rec", state="attached")
    for at in range(LONG):
        weighs = at + 1 in (1, LONG)
        if weighs:
            page.wait_for_function(ALL_TOLD)
            traffic.wait_until_quiet(page)
        before = traffic.total
        page.evaluate(CLICK, at)
        if weighs:
            traffic.wait_until_quiet(page)
            size = (traffic.total - before) / 1e3
            yield f"{f'bytes of a click, {at + 1} in history':34}{size:10.1f} KB"
    yield f"{'layout shift of all that':34}{page.evaluate('window.shifts'):10.3f}"
    page.context.close()


def _lines(how: str, times: list[float]) -> Iterator[str]:
    yield f"{f'click to painted list, {how}':40}{statistics.median(times):4.0f} ms median"
    yield f"{'':40}{percentile(times, 0.95):4.0f} ms p95"


def slow_click(browser: Browser, url: str) -> Iterator[str]:
    """The first click over slow 3G, as soon as there is something to click, and the next one."""
    started = time.monotonic()
    page, _ = open_page(browser, url, **SLOW_3G)
    page.evaluate(CLICK, 0)
    yield f"{'slow 3G, first click answered after':36}{time.monotonic() - started:8.1f} s"
    yield f"{'slow 3G, next click':36}{page.evaluate(CLICK, 1) / 1e3:8.1f} s"
    page.context.close()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]


@contextmanager
def running_app() -> Iterator[str]:
    """The address of the app with the built-in books, its models loaded."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]  # a fixed one might be another app's, which would answer
        command = [sys.executable, "app.py", "--port", str(port), "--data-dir", folder]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for_page(url)
            wait_for_answer(url, ITEM)
            yield url
        finally:
            process.terminate()
            process.wait()


def measure(url: str, count: int) -> None:
    """Print the table."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        print(machine_line(f"Chromium {browser.version}"), flush=True)
        for lines in (
            first_visit(browser, url),
            clicks(browser, url, count),
            bytes_of_clicks(browser, url),
            slow_click(browser, url),
        ):
            for line in lines:
                print(line, flush=True)
        browser.close()


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clicks", type=int, default=40, help="that are timed; 1 to 48")
    parser.add_argument("--url", help="of an app that runs already; default: one is started")
    options = parser.parse_args()
    if not 1 <= options.clicks <= LONG:
        parser.error(f"--clicks {options.clicks}: choose from 1 to {LONG}")
    if options.url:
        measure(options.url, options.clicks)
    else:
        with running_app() as url:
            measure(url, options.clicks)


if __name__ == "__main__":
    main()
