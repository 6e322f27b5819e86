"""Rows in a real browser: which clicks count, what can be selected, links to items."""

import shutil

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
ROWS = {  # what stands at a spot, and moves when it is clicked
    "list": ".hllm-column .rec >> nth=2",
    "popular": ".pop >> nth=2",
    "history": ".history li >> nth=1 >> .tool[data-tool=remove]",
}


@pytest.fixture(scope="module")
def url(serve, new_service, new_items, tmp_path_factory):
    return serve(new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(60)))


def history_is(page, *item_ids):
    expect(page.locator(".hllm")).to_have_attribute("data-history", " ".join(item_ids))


def strip(page):
    return page.locator(".history li").evaluate_all("items => items.map(i => i.dataset.id)")


def spot(page, selector):
    """The middle of a row that has settled."""
    row = page.locator(selector)
    row.hover()
    box = row.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


# In the page itself, so that it is never too late: what takes the click is what a mouse would hit.
CLICK_AGAIN = """([x, y]) => {
    const at = () => document.elementFromPoint(x, y);
    const stood = at();
    window.clickedAgain = new Promise((done) => {
        new MutationObserver((_, observer) => {
            if (stood.isConnected) return;
            observer.disconnect();
            at().dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 1 }));
            done();
        }).observe(document.querySelector(".hllm"), { childList: true, subtree: true });
    });
}"""


def click_twice(page, x, y):
    """Click on one spot, and again as soon as something else stands there."""
    page.evaluate(CLICK_AGAIN, [x, y])
    page.mouse.click(x, y)
    page.evaluate("window.clickedAgain")


@pytest.mark.parametrize("place", ROWS)
def test_a_row_that_has_just_changed_takes_no_click(open_page, url, place):
    page = open_page(url)
    if place == "popular":
        page.locator("[data-action=own]").click()
    else:
        for item_id in ("book-001", "book-002", "book-003"):
            page.locator(f".card[data-id={item_id}]").click()
        history_is(page, "book-001", "book-002", "book-003")
    if place == "history":
        page.locator(".history li").nth(1).hover()
    before = len(strip(page))
    x, y = spot(page, ROWS[place])
    click_twice(page, x, y)
    page.wait_for_selector(".settling", state="detached")
    changed = strip(page)
    assert abs(len(changed) - before) == 1
    page.mouse.click(x, y)  # what stands there for a while counts
    expect(page.locator(".history li")).not_to_have_count(len(changed))


def test_a_drag_selects_a_title_and_adds_nothing(open_page, url):
    page = open_page(url)
    page.locator(".card[data-id=book-001]").click()
    history_is(page, "book-001")
    for selector in (".rec-title >> nth=1", ".card-title >> nth=4"):
        title = page.locator(selector)
        title.hover()
        box = title.bounding_box()
        y = box["y"] + 8
        page.mouse.move(box["x"] + 2, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, y, steps=4)
        page.mouse.up()
        assert page.evaluate("getSelection().toString()") in title.text_content()
        assert page.evaluate("getSelection().toString().length") > 3
        assert strip(page) == ["book-001"]


def test_every_item_has_a_link_that_shows_it(open_page, url):
    page = open_page(url)
    page.locator(".card[data-id=book-001]").click()
    history_is(page, "book-001")
    for selector in (".card >> nth=7", ".baseline-column .rec >> nth=3", ".history-face >> nth=0"):
        row = page.locator(selector)
        with page.context.expect_page() as opened:
            row.click(modifiers=["Control"])
        tab = opened.value
        drawer = tab.get_by_role("dialog")
        expect(drawer).to_contain_text("What happens in book")
        expect(drawer.locator(".detail-facts")).to_contain_text(row.get_attribute("data-id"))
        tab.close()
    assert strip(page) == ["book-001"]
    page.evaluate("location.hash = 'item=no%20such'")
    expect(page.get_by_role("dialog")).to_contain_text("This item is not in this catalogue")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("location.hash") == ""


def test_who_follows_a_link_gets_the_item_and_no_example(open_page, url):
    page = open_page(f"{url}/#item=book-007")
    expect(page.get_by_role("dialog", name="Book number 7")).to_contain_text(
        "nothing is ranked yet"
    )
    expect(page.locator(".history li")).to_have_count(0)
    page.get_by_role("dialog").locator(".add").click()
    history_is(page, "book-007")
    expect(page.get_by_role("dialog")).to_contain_text("Number 1 of this history")


def test_a_row_is_pressed_by_enter_and_by_space(open_page, url):
    page = open_page(url)
    page.locator(".card[data-id=book-005]").press("Enter")
    history_is(page, "book-005")
    page.locator(".card[data-id=book-006]").press(" ")
    history_is(page, "book-005", "book-006")
