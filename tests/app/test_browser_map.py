"""The map, in a real browser with WebGL in software, and in one without WebGL."""

import re
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
DESKTOP, PHONE = (1280, 800), (375, 812)
SOFTWARE = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
FLAGS = ("--no-sandbox", "--disable-dev-shm-usage")


@pytest.fixture(scope="module")
def chromium():
    """With WebGL, which the one of conftest.py need not have."""
    sync_api.expect.set_options(timeout=20_000)
    with sync_api.sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *SOFTWARE])
        yield browser
        browser.close()


def open_map(page):
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".map")).to_have_attribute("data-points", "60")


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def begin(page, *numbers):
    for number in numbers:
        page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
        expect(page.locator(".history li").last).to_have_attribute("data-id", f"book-{number:03d}")
    ids = " ".join(f"book-{number:03d}" for number in numbers)
    expect(page.locator(".hllm")).to_have_attribute("data-history", ids)
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def test_the_map_opens_marks_names_and_adds(open_page, url, page_service, events_of):
    page = open_page(url, DESKTOP)
    loaded = []
    page.on("request", lambda request: loaded.append(request.url))
    begin(page, 0, 1)
    assert not [address for address in loaded if "/map/" in address]
    open_map(page)
    assert len([address for address in loaded if "/map/" in address]) == 2
    expect(page.locator(".map")).to_contain_text("Distances distort")
    expect(page.locator(".map canvas")).to_have_attribute(
        "aria-label", "Map of 60 items by their embeddings. The covers show the same items."
    )
    expect(page.locator(".mark.chosen")).to_have_count(2)
    for kind, count in (("of-hllm", 10), ("of-baseline", 10), ("user", 1)):
        expect(page.locator(f".mark.{kind}")).to_have_count(count)

    # What is marked is drawn over its point: pointing at the mark names the item, a click adds it.
    rec = page.locator(".hllm-column .rec").first
    title, item_id = rec.locator(".rec-title").text_content(), rec.get_attribute("data-id")
    place = middle(page.locator(".mark.of-hllm").first.bounding_box())
    page.mouse.move(*place, steps=3)
    expect(page.locator(".map-tip")).to_contain_text(title)
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".history li").last).to_have_attribute("data-id", item_id)
    expect(page.locator(".mark.chosen")).to_have_count(3)
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
    clicks = [event[:4] for event in events_of(page_service) if event[0] == "clicked"]
    assert clicks[-1][1] == "map"

    page.get_by_role("searchbox").fill("Book number 7")
    expect(page.locator(".browse")).to_have_attribute("data-view", "covers")
    expect(page.locator(".grid .card").first).to_be_visible()
    open_map(page)  # marks are placed anew, and were not while there was no place
    placed = re.compile(r"^translate\(\d")
    expect(page.locator(".mark.chosen").last).to_have_attribute("transform", placed)


@pytest.mark.slow
def test_zoom_and_pan_move_points_and_marks_alike(open_page, url):
    page = open_page(url, DESKTOP)
    begin(page, 0, 1)
    open_map(page)
    expect(page.locator(".mark.chosen")).to_have_count(2)
    first, second = (page.locator(".mark.chosen").nth(n) for n in (0, 1))

    def apart():
        (x, y), (to_x, to_y) = middle(first.bounding_box()), middle(second.bounding_box())
        return ((x - to_x) ** 2 + (y - to_y) ** 2) ** 0.5

    before = apart()
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(200)
    assert apart() == pytest.approx(1.6 * before, rel=0.02)
    page.get_by_role("button", name="Whole map").click()
    page.wait_for_timeout(200)
    assert apart() == pytest.approx(before, rel=0.02)
    frame = page.locator(".map-frame").bounding_box()
    x, y = frame["x"] + 30, frame["y"] + frame["height"] - 30
    start = middle(first.bounding_box())
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y - 40, steps=5)
    page.mouse.up()
    page.wait_for_timeout(200)
    end = middle(first.bounding_box())
    assert (end[0] - start[0], end[1] - start[1]) == pytest.approx((60, -40), abs=4)
    expect(page.locator(".history li")).to_have_count(2)  # a drag adds nothing


@pytest.mark.slow
def test_the_map_takes_one_tab_stop_and_traps_nobody(open_page, url):
    page = open_page(url, DESKTOP)
    covers = page.get_by_role("button", name="Covers", exact=True)
    covers.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".map")).to_have_attribute("data-points", "60")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Zoom in")).to_be_focused()
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.closest('.map') !== null")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator(".grid .card").first).to_be_visible()


@pytest.mark.slow
def test_a_finger_moves_the_map_and_a_tap_adds(open_page, url):
    page = open_page(url, PHONE)
    open_map(page)
    canvas = page.locator(".map canvas")
    canvas.scroll_into_view_if_needed()
    mark = page.locator(".mark").first
    start = middle(mark.bounding_box())
    box = canvas.bounding_box()
    finger = page.context.new_cdp_session(page)

    def touch(kind, *points):
        finger.send(
            "Input.dispatchTouchEvent",
            {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]},
        )

    x, y = box["x"] + 60, box["y"] + 150
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x + 8 * step, y - 4 * step))
    touch("touchEnd")
    page.wait_for_timeout(200)
    end = middle(mark.bounding_box())
    assert (end[0] - start[0], end[1] - start[1]) == pytest.approx((40, -20), abs=4)
    before = page.locator(".hllm").get_attribute("data-history")
    page.touchscreen.tap(*middle(page.locator(".mark.of-hllm").first.bounding_box()))
    expect(page.locator(".hllm")).not_to_have_attribute("data-history", before)


@pytest.mark.slow
def test_a_blind_test_marks_nothing_of_the_models(open_page, url):
    page = open_page(url, DESKTOP)
    begin(page, 0, 1)
    open_map(page)
    expect(page.locator(".mark.user")).to_have_count(1)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="Blind test").click()
    expect(page.locator(".mark.user, .mark.of-hllm, .mark.of-baseline")).to_have_count(0)
    expect(page.locator(".mark.chosen")).to_have_count(2)


@pytest.mark.slow
@needs_axe
def test_nothing_serious_for_axe(open_page, url):
    page = open_page(url, DESKTOP)
    open_map(page)
    assert serious_problems(page) == []


@pytest.mark.slow
def test_titles_are_text(open_page, serve, new_service, new_hostile_items, tmp_path):
    page = open_page(serve(new_service(tmp_path / "c.db", new_hostile_items())), DESKTOP)
    page.locator(".card").first.click()
    expect(page.locator(".hllm-column .rec").first).to_be_visible()
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".mark.chosen")).to_be_attached()
    for mark in page.locator(".mark.of-hllm, .mark.chosen").all()[:3]:
        page.mouse.move(*middle(mark.bounding_box()), steps=2)
        expect(page.locator(".map-tip b")).to_be_visible()
    assert page.locator(".map-tip img").count() == 0


@pytest.mark.slow
def test_without_webgl_a_sentence_says_so_and_the_covers_stay(open_page, url, chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(
        "HTMLCanvasElement.prototype.getContext = () => null;"  # as a browser without it answers
    )
    page = open_page(url, context=context)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".map-line")).to_contain_text("This browser has no WebGL")
    expect(page.locator(".grid .card").first).to_be_visible()
    context.close()


def test_without_a_model_it_is_said_and_the_covers_stay(
    open_page, serve, new_service, new_items, tmp_path
):
    def fail():
        raise CheckpointError("There is no HLLM for this catalogue yet.")

    page = open_page(serve(new_service(tmp_path / "c.db", new_items(9), load_hllm=fail)), DESKTOP)
    page.get_by_role("button", name="Map", exact=True).click()
    expect(page.locator(".map-line")).to_have_text(
        "There is no HLLM for this catalogue yet. The covers show the same items."
    )
    expect(page.locator(".grid .card").first).to_be_visible()
