"""Writing an item or a wish in a real browser: encoded, ranked, clicked, kept and removed."""

import json
import shutil

import pytest

from hllm.errors import CheckpointError
from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 800), (390, 844)


def write(page, title="A funny heist on Mars", **texts):
    page.locator("[data-action=write]").click()
    drawer = page.locator(".drawer")
    for name, text in {"title": title, **texts}.items():
        drawer.locator(f"[name={name}]").fill(text)
    drawer.get_by_role("button", name="Encode").click()
    expect(drawer.locator(".writer-state")).to_have_text("Encoded.")
    return drawer


def stored_with(page, text):
    script = "t => [localStorage, sessionStorage].some(s => JSON.stringify(s).includes(t))"
    return page.evaluate(script, text)


def test_write_encode_click_reload_and_remove(open_page, url):
    page = open_page(url, DESKTOP)
    page.locator(".search").fill("zzz heist")
    expect(page.locator(".nothing")).to_be_visible()
    page.locator("[data-action=write]").click()
    expect(page.locator(".drawer [name=title]")).to_have_value("zzz heist")
    page.keyboard.press("Escape")
    drawer = write(page, creator="Nobody", category="Mystery", description="Four thieves.")
    expect(drawer.locator(".standing").first).to_contain_text("of 57")  # the example has four
    expect(drawer.locator(".nears")).to_have_count(2)
    expect(drawer.locator(".given")).to_have_text("title: A funny heist on Mars")
    expect(drawer.locator(".by-id")).to_contain_text("could do nothing with it")
    drawer.locator(".add").click()
    expect(drawer.locator(".detail-head")).to_contain_text("Number 1 of this history")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    expect(page.locator(".notices")).to_have_text("")
    page.reload()
    face = page.locator(".history-face")
    expect(face).to_have_attribute("title", "A funny heist on Mars")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    assert face.locator("img").evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    page.locator("[data-action=reset-search]").click()
    expect(page.locator(".yours .card")).to_have_attribute("data-position", "1")
    page.locator(".yours .remove").click()
    expect(page.locator(".yours")).to_be_hidden()
    expect(page.locator(".history li")).to_have_count(0)
    assert not stored_with(page, "heist on Mars")


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious_in_the_form(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    write(page, creator="Nobody")
    expect(page.locator(".drawer .unread")).to_contain_text("and not creator")
    assert serious_problems(page) == []
    page.locator(".drawer [data-mode=wish]").click()
    assert serious_problems(page) == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_wish_finds_items_that_can_be_clicked(open_page, url, size):
    page = open_page(url, size, color_scheme="dark")
    page.locator("[data-action=write]").click()
    drawer = page.locator(".drawer")
    drawer.locator("[data-mode=wish]").click()
    drawer.locator("[name=wish]").fill("a funny heist on Mars")
    drawer.get_by_role("button", name="Find").click()
    expect(drawer.locator(".writer-result h3").first).to_have_text("Recommended for it")
    expect(drawer.locator(".near")).to_have_count(24)
    assert drawer.evaluate("d => d.scrollWidth <= d.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    first = drawer.locator(".near").first
    item_id = first.get_attribute("data-id")
    first.click()
    expect(page.locator(".hllm")).to_have_attribute("data-history", item_id)
    expect(page.locator(".yours")).to_be_hidden()  # a wish is no item


@pytest.mark.slow
def test_an_item_is_edited_in_its_place_and_ranked_anew_for_another_history(open_page, url):
    page = open_page(url, DESKTOP)
    drawer = write(page, "First")
    drawer.locator("[name=title]").fill("Second")
    drawer.get_by_role("button", name="Encode").click()
    expect(drawer.locator(".given")).to_have_text("title: Second")
    expect(page.locator(".yours .card-title")).to_have_text(["Second"])
    page.locator(".hllm-column .rec").first.click()
    expect(drawer.locator(".standing").first).to_contain_text("of 60")
    drawer.locator(".add").click()
    expect(page.locator(".history li")).to_have_count(2)
    page.locator("[data-action=close]").click()
    expect(drawer).to_be_hidden()
    entry = page.locator(".history li >> nth=1")
    entry.hover()
    entry.locator(".info").click()
    expect(drawer.locator("[name=title]")).to_have_value("Second")
    expect(drawer.locator(".detail-head")).to_contain_text("Number 2 of this history")


@pytest.mark.slow
def test_hostile_and_empty_texts(open_page, url):
    page = open_page(url, DESKTOP)
    page.locator("[data-action=write]").click()
    drawer = page.locator(".drawer")
    state, encode = drawer.locator(".writer-state"), drawer.get_by_role("button", name="Encode")
    for nothing in ("", "<br>\u200b"):
        drawer.locator("[name=title]").fill(nothing)
        encode.click()
        expect(state).to_have_text("It needs a title.")
    drawer.locator("[name=title]").fill("<img src=x onerror=alert(1)> \u202eevil ${alert(2)}")
    drawer.locator("[name=description]").fill("\u0643\u062a\u0627\u0628 " * 150)
    encode.click()
    expect(state).to_have_text("Encoded.")
    expect(page.locator(".yours .card-title")).to_have_text("\u202eevil ${alert(2)}")
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP[0]


@pytest.mark.slow
def test_where_nothing_can_be_encoded_the_form_says_why(open_page, url, page_service):
    page = open_page(url, DESKTOP)
    recommender = page_service.columns[0].question(lambda r: r)[1]

    def missing():
        raise CheckpointError("The folder has no Item LLM: restore it.")

    recommender.load_item_encoder = missing
    try:
        page.locator("[data-action=write]").click()
        drawer = page.locator(".drawer")
        expect(drawer.locator(".writer-state")).to_have_text(
            "The folder has no Item LLM: restore it."
        )
        expect(drawer.locator("[name=title]")).to_be_disabled()
    finally:
        del recommender.load_item_encoder


@pytest.mark.slow
def test_no_link_and_no_record_knows_of_it(open_page, url):
    page = open_page(url, DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    sent = []
    page.on("request", lambda r: sent.append(r.post_data or "") if r.method == "POST" else None)
    drawer = write(page)
    drawer.locator(".add").click()
    expect(drawer.locator(".detail-head")).to_contain_text("Number 1")
    with page.expect_request(lambda r: '"record"' in (r.post_data or "")):  # after the answer
        page.locator(".hllm-column .rec").first.click()
    expect(page.locator(".history li")).to_have_count(2)
    names = [json.loads(body).get("fn_name") for body in sent if body.startswith("{")]
    assert "write" in names and names.count("record") == 1
    page.locator(".menu > button").click()
    page.get_by_role("menuitem", name="Copy link").click()
    page.wait_for_function("navigator.clipboard.readText().then(t => t.includes('#'))")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "written" not in link and "Mars" not in link and "book-" in link
