"""What if, in a real browser: a history is tried, and kept or left."""

import re
import shutil

import pytest

from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, TABLET, PHONE = (1280, 800), (768, 1024), (375, 812)
HOLD_MS = 600  # longer than assets/page/drag.js waits for
UNDER_A_FINGER = """([x, y]) => {
    const entry = document.elementFromPoint(x, y)?.closest(".history li");
    return entry?.dataset.id ?? null;
}"""


def books(*numbers):
    return " ".join(f"book-{number:03d}" for number in numbers)


def answered(page, *numbers):
    """The lists are for these items."""
    expect(page.locator(".hllm")).to_have_attribute("data-history", books(*numbers))
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def pick(page, *numbers):
    """From the catalogue, each when the one before is answered."""
    for number in numbers:
        page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
        expect(page.locator(".hllm")).to_have_attribute(
            "data-history", re.compile(rf"book-{number:03d}$")
        )
        expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def strip(page):
    return page.locator(".history li").evaluate_all("items => items.map(i => i.dataset.id)")


def title(page):
    return page.locator(".strip-title")


def lists(page):
    return {
        key: page.locator(f".{key}-column .rec").evaluate_all("rows => rows.map(r => r.dataset.id)")
        for key in ("hllm", "baseline")
    }


def marks(page):
    return {
        key: page.locator(f".{key}-column .move").all_text_contents()
        for key in ("hllm", "baseline")
    }


def moves(before, now):
    """What a list says of its rows, against the one before."""
    said = []
    for rank, item in enumerate(now):
        by = before.index(item) - rank if item in before else None
        arrow = "" if not by else f"▲{by}" if by > 0 else f"▼{-by}"
        said.append("new" if by is None else arrow)
    return said


@pytest.mark.slow
def test_a_history_is_tried_and_left_or_kept(open_page, url, page_service, events_of):
    page = open_page(url, DESKTOP)
    button = page.get_by_role("button", name="What if", exact=True)
    bar = page.get_by_role("group", name="What if")
    pick(page, 1)
    expect(button).to_have_attribute("aria-disabled", "true")
    button.evaluate("button => button.click()")
    expect(page.locator(".status")).to_contain_text("Two items are needed")
    expect(bar).to_be_hidden()
    pick(page, 2, 3, 4)
    before = lists(page)
    recorded = events_of(page_service)

    button.click()
    expect(title(page)).to_have_text("What if: 4 items")
    page.keyboard.press("ArrowLeft")  # of the scrubber, which has the keyboard
    answered(page, 1, 2, 3)
    expect(title(page)).to_have_text("What if: first 3 of 4 items")
    expect(page.locator(".history .beyond")).to_have_count(1)
    assert lists(page) != before
    assert marks(page) == {key: moves(before[key], rows) for key, rows in lists(page).items()}
    bar.get_by_role("button", name="Reverse").click()
    answered(page, 4, 3, 2)
    # Moves are against the history that stands, not against what was tried before.
    assert marks(page) == {key: moves(before[key], rows) for key, rows in lists(page).items()}
    expect(title(page)).to_have_text("What if: first 3 of 4 items, reversed")
    assert "What if: first 3 of 4 items, reversed." in page.locator(".spoken").text_content()
    bar.get_by_label("Diversity").press("End")
    for key in before:
        expect(page.locator(f".{key}-column .column-note")).to_contain_text("Re-ranked: costs 0.")
    page.wait_for_selector(".settling", state="detached")
    added = lists(page)["hllm"][0]
    page.locator(".hllm-column .rec").first.click()
    expect(title(page)).to_have_text("What if: first 4 of 5 items, reversed, 1 added")
    assert strip(page) == [*books(4, 3, 2).split(), added, "book-001"]
    answered(page, 4, 3, 2, int(added[-3:]))
    page.keyboard.press("Control+z")
    expect(page.locator(".status")).to_contain_text("Keep what you try, or go back")
    page.keyboard.press("Escape")
    answered(page, 1, 2, 3, 4)
    assert lists(page) == before and strip(page) == books(1, 2, 3, 4).split()
    expect(title(page)).to_have_text("Your history")
    expect(bar).to_be_hidden()
    assert set(marks(page)["hllm"]) == {""} and page.locator(".column-note").count() == 0
    shown_again = events_of(page_service)[len(recorded) :]
    assert [kind for kind, *_ in shown_again] == ["shown", "shown"]  # the real history's

    button.click()
    bar.get_by_role("button", name="Reverse").click()
    bar.get_by_label("How many items").press("ArrowLeft")
    bar.get_by_role("button", name="Keep").click()
    answered(page, 4, 3, 2)
    expect(bar).to_be_hidden()
    expect(title(page)).to_have_text("Your history")
    assert strip(page) == books(4, 3, 2).split()
    assert marks(page) == {key: moves(before[key], rows) for key, rows in lists(page).items()}
    page.locator("[data-action=undo]").click()
    answered(page, 1, 2, 3, 4)
    assert lists(page) == before


@pytest.mark.slow
def test_a_phone_tries_by_touch(open_page, url):
    page = open_page(url, PHONE)
    pick(page, 1, 2, 3, 4)
    page.locator(".tabs [data-tab=hllm]").tap()
    button = page.get_by_role("button", name="What if", exact=True)
    button.tap()
    bar = page.get_by_role("group", name="What if")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    assert page.locator(".strip").bounding_box()["height"] <= 270
    for control in bar.locator("button, input").all():
        assert control.bounding_box()["height"] >= 36
    drag_by_finger(page, "book-004", "book-001")
    expect(title(page)).to_have_text("What if: 4 items, reordered")
    answered(page, 4, 1, 2, 3)
    bar.get_by_label("How many items").fill("2")
    answered(page, 4, 1)
    bar.get_by_role("button", name="Keep").tap()
    answered(page, 4, 1)
    page.locator("[data-action=undo]").tap()
    answered(page, 1, 2, 3, 4)
    button.tap()
    bar.get_by_role("button", name="Reverse").tap()
    answered(page, 4, 3, 2, 1)
    bar.get_by_role("button", name="Back").tap()
    answered(page, 1, 2, 3, 4)
    drag_by_finger(page, "book-004", "book-002")  # with no bar open, the history itself
    answered(page, 1, 4, 2, 3)
    expect(title(page)).to_have_text("Your history")
    assert page.locator(".selected").count() == 0  # a drag is no tap


def drag_by_finger(page, item, target):
    """Rest on one entry of the strip, and go to another."""
    page.wait_for_selector(".settling", state="detached")
    touch = page.context.new_cdp_session(page)
    boxes = [
        page.locator(f".history li[data-id={entry}] .cover").bounding_box()
        for entry in (item, target)
    ]
    (x, y), end = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    assert page.evaluate(UNDER_A_FINGER, [x, y]) == item
    send(touch, "touchStart", x, y)
    page.wait_for_timeout(HOLD_MS)
    for step in (0.3, 0.7, 1.0):
        send(touch, "touchMove", x + (end[0] - x) * step, y + (end[1] - y) * step)
    expect(page.locator(f".history li[data-id={target}]")).to_have_class(re.compile("drop-here"))
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


def send(touch, kind, x, y):
    touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})


@pytest.mark.slow
def test_dragging_removing_and_moving_change_only_what_is_tried(open_page, url):
    page = open_page(url, DESKTOP)
    pick(page, 1, 2, 3, 4)
    page.get_by_role("button", name="What if", exact=True).click()
    entries = page.locator(".history li")
    entries.nth(3).drag_to(entries.nth(0))
    answered(page, 4, 1, 2, 3)
    page.locator(".history-face").nth(1).focus()
    page.keyboard.press("Shift+ArrowRight")
    answered(page, 4, 2, 1, 3)
    page.keyboard.press("Delete")
    answered(page, 4, 2, 3)
    expect(title(page)).to_have_text("What if: 3 items, reordered, 1 removed")
    pick(page, 9)
    expect(page.get_by_role("button", name="Scoreboard")).not_to_contain_text("Book number 9")
    page.reload()  # what was tried is gone, the history is not
    answered(page, 1, 2, 3, 4)


@pytest.mark.slow
def test_a_filter_stays_and_lists_of_another_one_are_not_compared(open_page, url):
    page = open_page(url, DESKTOP)
    pick(page, 1, 2, 3)
    page.get_by_role("button", name="What if", exact=True).click()
    page.keyboard.press("Home")
    answered(page, 1)
    assert any(marks(page)["hllm"])
    page.locator(".filter-category").select_option("Mystery")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    page.wait_for_function(
        "[...document.querySelectorAll('.move')].every(mark => mark.textContent === '')"
    )
    page.get_by_role("group", name="What if").get_by_role("button", name="Back").click()
    answered(page, 1, 2, 3)
    assert page.locator(".filter-category").input_value() == "Mystery"


@pytest.mark.slow
def test_without_popularity_there_is_one_slider_and_a_failing_column_says_so(
    open_page, serve, new_service, new_items, tmp_path
):
    items = [
        item.__class__(item_id=item.item_id, title=item.title, popularity=1)
        for item in new_items(30)
    ]
    service = new_service(tmp_path / "c.db", items)
    page = open_page(serve(service), DESKTOP)
    pick(page, 1, 2, 3)
    page.get_by_role("button", name="What if", exact=True).click()
    expect(page.get_by_label("Less popular")).to_be_hidden()
    recommender = service.columns[0]._recommender
    recommender.recommend = lambda *history, **options: 1 / 0
    page.get_by_label("Diversity").press("End")
    expect(page.locator(".hllm-column .column-message")).to_contain_text("failed on this history")
    expect(page.locator(".baseline-column .column-note")).to_contain_text("Re-ranked")
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    del recommender.recommend
    page.keyboard.press("Escape")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_bar_fits_and_axe_finds_nothing_serious(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    pick(page, 1, 2, 3, 4)
    page.get_by_role("button", name="What if", exact=True).click()
    page.keyboard.press("ArrowLeft")
    page.get_by_label("Diversity").press("End")
    expect(page.locator(".column-note")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator(".what-if").evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    if size == DESKTOP:  # the lists stick below the bar, and end inside the window
        page.mouse.wheel(0, 400)
        page.wait_for_function("scrollY >= 300")  # a wheel is not waited for
        strip_box, lists_box = (
            page.locator(name).bounding_box() for name in (".strip", ".answers")
        )
        assert lists_box["y"] >= strip_box["y"] + strip_box["height"] - 15
        assert lists_box["y"] + lists_box["height"] <= size[1] + 1
    assert serious_problems(page) == []
