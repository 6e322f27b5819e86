"""The drawer about one item in a real browser: by pointer, finger and keyboard, at every size."""

import shutil

import pytest

from app.catalog import CatalogItem

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
SIZES = [(1280, 800), (768, 1024), (390, 844)]


def start(page, *numbers):
    """A history of one's own, by script: on a phone not all of the page is seen."""
    for number in numbers:
        page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
    ids = " ".join(f"book-{number:03d}" for number in numbers)
    expect(page.locator(".hllm")).to_have_attribute("data-history", ids)
    return page.get_by_role("dialog")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_inside_the_window_and_the_lists_stay_visible(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme)
    drawer = start(page, 1, 2)
    if size[0] <= 820:
        page.locator(".tabs [data-tab=hllm]").click()
    page.locator(".hllm-column .info").first.click()
    expect(drawer.locator(".changes")).to_be_visible()
    box = drawer.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
    assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert drawer.evaluate("d => d.scrollWidth <= d.clientWidth")
    if size[0] == 1280:
        lists = page.locator(".answers").bounding_box()
        assert box["x"] + box["width"] <= lists["x"] + 8
    page.locator("[data-action=close]").click()
    expect(drawer).to_be_hidden()


def test_every_row_card_and_cover_has_a_button_that_adds_nothing(open_page, url):
    page = open_page(url, (1280, 800))
    drawer = start(page, 1, 2)
    for selector in (
        ".hllm-column li >> nth=1",
        ".baseline-column li >> nth=4",
        ".history li >> nth=0",
    ):
        entry = page.locator(selector)
        entry.hover()
        entry.locator(".info").click()
        item_id = entry.locator("[data-id]").first.get_attribute("data-id")
        expect(drawer.locator(".detail-facts")).to_contain_text(item_id)
    page.keyboard.press("Escape")
    entry = page.locator(".grid li").nth(5)
    entry.hover()
    entry.locator(".info").click()
    expect(drawer.locator(".detail-facts")).to_contain_text("book-005")
    expect(page.locator(".hllm")).to_have_attribute("data-history", "book-001 book-002")


def test_neighbours_can_be_added_and_opened_and_ranks_follow(open_page, url):
    page = open_page(url, (1280, 800))
    drawer = start(page, 1, 2)
    page.locator(".hllm-column .info").nth(3).click()
    title = page.locator(".hllm-column .rec-title").nth(3).text_content()
    expect(drawer.locator("h2")).to_have_text(title)
    near = drawer.locator(".near").last
    added = near.get_attribute("data-id")
    near.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".hllm")).to_have_attribute("data-history", f"book-001 book-002 {added}")
    expect(drawer).to_contain_text(" of 57")
    expect(drawer.locator(".changes tbody tr")).to_have_count(3)
    expect(drawer.locator(".near").last).to_be_focused()
    other = drawer.locator(".near").nth(1)
    name = other.get_attribute("data-title")
    other.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(drawer.locator("h2")).to_have_text(name)
    page.keyboard.press("Escape")
    expect(page.locator(":focus")).to_have_class("info")


def test_a_large_model_explains_when_asked(open_page, url, page_service):
    page_service.columns[0].question(lambda r: setattr(r, "explains_at_once", False))
    try:
        page = open_page(url, (1280, 800))
        drawer = start(page, 1, 2)
        page.locator(".hllm-column .info").first.click()
        expect(drawer.locator(".changes")).to_have_count(0)
        drawer.get_by_role("button", name="Compute").press("Enter")
        expect(drawer.locator(".changes tbody tr")).to_have_count(2)
        expect(page.locator("[data-action=close]")).to_be_focused()
    finally:
        page_service.columns[0].question(lambda r: setattr(r, "explains_at_once", True))


def test_the_example_can_be_looked_into_and_stays_an_example(open_page, url):
    page = open_page(url, (1280, 800))
    page.locator(".hllm-column .info").first.click()
    expect(page.get_by_role("dialog").locator(".changes tbody tr")).to_have_count(4)
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(".strip-title")).to_contain_text("Example: ")


@pytest.mark.parametrize("size", SIZES[::2], ids=lambda size: str(size[0]))
def test_long_and_hostile_texts_stay_inside_as_text(
    open_page, serve, new_service, hostile_titles, tmp_path, size
):
    word = "Donaudampfschifffahrt" * 40
    items = [
        CatalogItem(
            item_id=f"i{n}",
            title=hostile_titles[1] + word,
            creator=word,
            categories=(word[:150],),
            description=hostile_titles[1] + word * 20,
            extra={word[:200]: word, "list": list("abc")},
        )
        for n in range(14)
    ]
    page = open_page(serve(new_service(tmp_path / "c.db", items)), size)
    page.locator(".grid .info").first.evaluate("button => button.click()")
    drawer = page.get_by_role("dialog")
    expect(drawer.locator(".prose")).to_contain_text(hostile_titles[1])
    assert drawer.locator("img[src=x]").count() == 0
    assert drawer.evaluate("d => d.scrollWidth <= d.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    expect(page.locator("[data-action=close]")).to_be_in_viewport()


def test_an_app_that_stops_is_said_in_the_drawer(open_page, url):
    page = open_page(url, (1280, 800))
    drawer = start(page, 1, 2)
    page.route("**/component_server**", lambda route: route.abort())
    page.locator(".hllm-column .info").first.click()
    expect(drawer).to_contain_text("The app does not answer.")
    assert all("ERR_FAILED" in problem for problem in open_page.problems)
    open_page.problems.clear()
