"""The menu, links that hold a history, what can be taken along, stage mode, in a real browser."""

import json
import re
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 800), (375, 812)
ENTRIES = ["Copy link", "Download as JSON", "Download as CSV", "Python snippet", "Stage mode"]


def history_is(page, *item_ids):
    expect(page.locator(".hllm")).to_have_attribute("data-history", " ".join(item_ids))
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def add(page, number):
    page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
    expect(page.locator(".hllm")).to_have_attribute(
        "data-history", re.compile(rf"book-{number:03d}$")
    )


def entry(page, name):
    """Opens the menu and gives one of its entries."""
    page.get_by_role("button", name="More", exact=True).click()
    found = page.get_by_role("menu").get_by_text(name, exact=True)
    expect(found).to_be_visible()
    return found


def link_of(page, **parts):
    key = page.locator(".hllm").get_attribute("data-catalog")
    return f"#{urlencode({'v': 1, 'c': key, **parts}, doseq=True)}"


def stored(page):
    """What the browser keeps of the visitor's own history."""
    key = page.locator(".hllm").get_attribute("data-catalog")
    return json.loads(page.evaluate("key => localStorage.getItem('hllm-live/' + key)", key))


@pytest.mark.slow
def test_menu_by_keyboard_and_pointer(open_page, url):
    page = open_page(url, DESKTOP)
    button = page.get_by_role("button", name="More", exact=True)
    menu = page.get_by_role("menu")
    items = menu.locator("[role^=menuitem]")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    known = items.all_text_contents()
    assert [name for name in known if name in ENTRIES] == ENTRIES
    last = len(known) - 1
    for key, at in (("ArrowDown", 1), ("End", last), ("ArrowDown", 0), ("ArrowUp", last)):
        page.keyboard.press(key)
        expect(items.nth(at)).to_be_focused()
    page.keyboard.press("Home")
    expect(items.first).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(button).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(items.last).to_be_focused()
    page.keyboard.press("Tab")
    expect(menu).to_be_hidden()
    button.click()
    page.locator(".strip").click(position={"x": 2, "y": 2})
    expect(menu).to_be_hidden()
    expect(button).to_have_attribute("aria-expanded", "false")


@pytest.mark.slow
def test_a_link_shows_a_history_and_never_touches_the_visitors_own(open_page, url):
    sender = open_page(url, DESKTOP)
    for number in (1, 2, 3):
        add(sender, number)
    sender.get_by_label("Recommend from").select_option("Mystery")
    history_is(sender, "book-001", "book-002", "book-003")
    sender.context.grant_permissions(["clipboard-read", "clipboard-write"])
    entry(sender, "Copy link").click()
    expect(sender.locator(".notices")).to_contain_text("The link is copied")
    link = sender.evaluate("navigator.clipboard.readText()")

    page = open_page(url, DESKTOP)
    for number in (7, 8):
        add(page, number)
    own = stored(page)
    page.evaluate("link => { location.hash = new URL(link).hash }", link)
    history_is(page, "book-001", "book-002", "book-003")
    expect(page.locator(".strip-title")).to_have_text("A shared history")
    expect(page.get_by_label("Recommend from")).to_have_value("Mystery")
    lists = [p.locator(".hllm-column .rec-title").all_text_contents() for p in (sender, page)]
    assert lists[0] == lists[1]
    page.keyboard.press("Control+z")
    expect(page.locator(".notices")).to_contain_text("your own history")
    page.locator(".history-face").first.press("Delete")
    page.get_by_label("Recommend from").select_option("Fantasy")
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
    assert stored(page) == own
    page.reload()
    history_is(page, "book-001", "book-002", "book-003")
    page.get_by_role("button", name="Back to yours").click()
    history_is(page, "book-007", "book-008")
    assert stored(page) == own
    assert "#" not in page.url
    expect(page.locator(".history-face").first).to_be_focused()

    page.evaluate("link => { location.hash = new URL(link).hash }", link)
    history_is(page, "book-001", "book-002", "book-003")
    page.go_back()
    history_is(page, "book-007", "book-008")
    page.go_forward()
    history_is(page, "book-001", "book-002", "book-003")
    page.get_by_role("button", name="Keep it").click()
    history_is(page, "book-001", "book-002", "book-003")
    expect(page.locator(".strip-title")).to_have_text("Your history")
    page.keyboard.press("Control+z")
    history_is(page, "book-007", "book-008")


def test_whatever_a_link_holds_no_harm_is_done(open_page, url):
    page = open_page(url, DESKTOP)
    add(page, 7)
    script = "<img src=x onerror=alert(1)>"
    cases = {
        "": "",
        link_of(page, h=["__proto__", "constructor", script]): "Nothing of the shared history",
        link_of(page, c="ffffffffffff", name=script, h="book-001"): f"“{script}”; here is",
        "#v=1&c=%&h=%E0%A4%A": "another one",
        "#v=__proto__": "another version",
        f"#v=1&h={'x' * 1_000_000}": "too long",
    }
    own = stored(page)
    for hash_, notice in cases.items():
        page.evaluate("hash => { location.hash = hash }", hash_)
        expect(page.locator(".notices")).to_contain_text(notice)
        history_is(page, "book-007")
        assert "v=" not in page.url
    odd = link_of(page, h=["book-001", script, "book-002"], category=script, min="x", what=script)
    page.evaluate("hash => { location.hash = hash }", odd)
    history_is(page, "book-001", "book-002")
    expect(page.locator(".notices")).to_contain_text("1 item is not in this catalogue")
    expect(page.locator(".notices")).to_contain_text("“min”, “what”")
    expect(page.locator(".notices")).to_contain_text(f"The category “{script}” is not in")
    assert stored(page) == own
    page.wait_for_selector(".settling", state="detached")
    page.locator(".hllm-column .rec").first.evaluate("row => row.click()")
    expect(page.locator(".strip-title")).to_have_text("Your history")
    expect(page.locator(".history li")).to_have_count(2)
    expect(page.locator(".notices")).to_contain_text("This is your own history")


@pytest.mark.slow
def test_a_new_visitor_who_opens_a_link_has_no_history_yet(open_page, url):
    key = open_page(url, DESKTOP).locator(".hllm").get_attribute("data-catalog")
    page = open_page(f"{url}#v=1&c={key}&h=book-001&h=book-002", PHONE)
    history_is(page, "book-001", "book-002")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.get_by_role("button", name="Start your own").tap()
    expect(page.locator(".strip-title")).to_have_text("Your history")
    expect(page.locator(".history li")).to_have_count(0)


@pytest.mark.slow
def test_files_and_lines_of_python_are_of_what_is_shown(open_page, url):
    page = open_page(url, DESKTOP)
    for number in (1, 2):
        add(page, number)
    for name, file in (
        ("Download as JSON", "hllm-live.json"),
        ("Download as CSV", "hllm-live.csv"),
    ):
        with page.expect_download() as download:
            entry(page, name).click()
        assert download.value.suggested_filename == file
        text = Path(download.value.path()).read_text("utf-8")
        for title in page.locator(".rec-title").all_text_contents():
            assert title in text
    entry(page, "Python snippet").click()
    dialog = page.get_by_role("dialog", name="Python")
    expect(dialog).to_be_visible()
    expect(dialog.locator(".hint")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.slow
def test_a_link_that_cannot_be_copied_is_shown(open_page, url):
    page = open_page(url, DESKTOP)
    add(page, 1)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    entry(page, "Copy link").click()
    field = page.get_by_role("dialog", name="Link").locator("textarea")
    expect(field).to_have_value(re.compile(r"^http://.*#v=1&c=\w{12}&name=.*&h=book-001$"))
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_have_text("Copied.")


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)], ids=["720", "1080"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_stage_mode_shows_five_large_rows_without_scrolling(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme)
    page.goto(f"{url}?stage")
    for column in (".hllm-column", ".baseline-column"):
        rows = page.locator(f"{column} .rec")
        expect(rows.nth(4)).to_be_visible()
        expect(rows.nth(5)).to_be_hidden()
        box = rows.nth(4).bounding_box()
        assert box["y"] + box["height"] <= size[1]
    small = page.evaluate(
        """() => [...document.querySelectorAll(".rec-title, .rec-by, .elsewhere, .column-head h2,"
            + " .does, .strip-title, .catalog-name strong")].filter(text =>
            text.offsetParent && parseFloat(getComputedStyle(text).fontSize) < 20).length"""
    )
    assert small == 0
    expect(page.locator(".browse")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.reload()
    expect(page.locator(".browse")).to_be_hidden()


@pytest.mark.slow
def test_stage_mode_is_left_by_escape_or_the_menu_and_stays_in_the_address(open_page, url):
    page = open_page(url, DESKTOP)
    entry(page, "Stage mode").click()
    assert page.url.endswith("/?stage")
    page.get_by_role("button", name="More", exact=True).click()
    expect(page.get_by_role("menuitemcheckbox", name="Stage mode")).to_have_attribute(
        "aria-checked", "true"
    )
    page.keyboard.press("Escape")  # closes the menu alone
    expect(page.locator(".browse")).to_be_hidden()
    page.locator(".hllm-column .info").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")  # closes the drawer alone
    expect(page.locator(".browse")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".browse")).to_be_visible()
    assert "stage" not in page.url


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_axe_finds_nothing_serious_in_menu_box_shared_history_and_stage(
    open_page, url, size, scheme
):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    add(page, 1)
    shared = link_of(page, h=["book-003", "book-004"])
    states = {
        "menu": lambda: page.get_by_role("button", name="More", exact=True).click(),
        "box": lambda: page.get_by_text("Python snippet", exact=True).click(),
        "shared": lambda: (
            page.keyboard.press("Escape"),
            page.evaluate("hash => { location.hash = hash }", shared),
            history_is(page, "book-003", "book-004"),
        ),
        "stage": lambda: entry(page, "Stage mode").click(),
    }
    for state, reach in states.items():
        reach()
        assert (state, serious_problems(page)) == (state, [])
