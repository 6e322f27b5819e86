"""The page in a real browser: waiting, a server that is gone, reloads, two tabs, link preview."""

import shutil
import threading

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]


def history_is(page, *item_ids):
    expect(page.locator(".hllm")).to_have_attribute("data-history", " ".join(item_ids))
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def test_old_lists_are_dimmed_and_a_server_that_is_gone_is_noticed(
    open_page, serve, new_service, new_items, tmp_path, monkeypatch
):
    service = new_service(tmp_path / "c.db", new_items(60))
    gate = threading.Event()
    gate.set()
    answer = service.answer
    monkeypatch.setattr(service, "answer", lambda *a, **k: (gate.wait(30), answer(*a, **k))[1])
    page = open_page(serve(service))
    page.locator(".card[data-id=book-001]").click()
    history_is(page, "book-001")
    gate.clear()
    page.locator(".card[data-id=book-002]").click()
    expect(page.locator(".columns")).to_have_css("opacity", "0.5")
    page.route("**/*", lambda route: route.abort())
    expect(page.locator(".status")).to_contain_text("The app does not answer")
    gate.set()
    page.unroute("**/*")
    page.wait_for_timeout(100)
    open_page.problems.clear()  # what was cut off


def test_undo_and_search_survive_a_reload_and_tabs_keep_their_own(
    open_page, serve, new_service, new_items, tmp_path
):
    url = serve(new_service(tmp_path / "c.db", new_items(60)))
    page = open_page(url)
    title = page.locator("meta[property='og:title']")
    expect(title).to_have_attribute("content", "HLLM Live")
    expect(page.locator(".card[data-id=book-001] .card-by")).to_contain_text("price 1")
    assert page.locator(".card-title:not([dir=auto]), .rec-title:not([dir=auto])").count() == 0
    page.locator(".card[data-id=book-001]").click()
    history_is(page, "book-001")
    other = open_page(url, context=page.context)
    history_is(other, "book-001")
    other.locator(".card[data-id=book-002]").click()
    history_is(other, "book-001", "book-002")
    page.locator(".search").fill("number 17")
    expect(page.locator(".card")).to_have_count(1)
    page.reload()
    history_is(page, "book-001")
    expect(page.locator(".search")).to_have_value("number 17")
    expect(page.locator(".card")).to_have_count(1)
    page.locator("[data-action=undo]").click()
    history_is(page)
