"""The page in a real browser at other sizes: narrow, zoomed in, by touch, on paper."""

import shutil

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
PHONE = (375, 812)
A4_AT_96_DPI = {"width": 794, "height": 1123}


@pytest.fixture
def page(open_page, serve, new_service, new_items, tmp_path):
    page = open_page(serve(new_service(tmp_path / "c.db", new_items(60))), PHONE)
    for number in (1, 2):
        page.locator(f".card[data-id=book-00{number}]").tap()
    expect(page.locator(".hllm")).to_have_attribute("data-history", "book-001 book-002")
    return page


def box(locator):
    found = locator.bounding_box()
    assert found is not None
    return found


def test_every_size_has_its_place_for_lists_and_tools(page):
    page.locator(".history-face").nth(1).tap()
    expect(page.locator(".history-title").nth(1)).to_be_visible()
    expect(page.locator(".history-title").nth(1)).to_have_text("Book number 2")
    for tool in page.locator(".history li").nth(1).locator(".tool").all():
        size = box(tool)
        assert size["width"] >= 44 and size["height"] >= 24
    assert box(page.locator(".strip"))["height"] <= 130

    for width in (320, 375):  # 320: 1280 at 400%
        page.set_viewport_size({"width": width, "height": 812})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        head, last = box(page.locator(".strip-head")), box(page.locator("[data-action=what-if]"))
        assert last["x"] + last["width"] <= head["x"] + head["width"] + 0.5

    page.set_viewport_size({"width": 768, "height": 1024})
    page.locator(".tabs [data-tab=hllm]").click()
    left, right = (box(page.locator(f".{key}-column")) for key in ("hllm", "baseline"))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    tab = page.locator(".tabs [data-tab=hllm]")
    expect(tab).to_have_text("HLLM and baseline", use_inner_text=True)
    expect(page.locator(".tabs [data-tab=baseline]")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 768

    page.set_viewport_size({"width": 640, "height": 400})  # 1280 x 800 at 200%
    page.locator(".tabs [data-tab=browse]").click()
    page.locator(".tabs [data-tab=hllm]").click()
    row = box(page.locator(".hllm-column .rec").first)
    assert row["y"] >= 0 and row["y"] + row["height"] <= box(page.locator(".tabs"))["y"]

    page.set_viewport_size(A4_AT_96_DPI)
    page.emulate_media(media="print")
    for shown in (".history-title", ".hllm-column .rec", ".baseline-column .rec"):
        expect(page.locator(shown).last).to_be_visible()
    for gone in (".browse", ".tabs", ".strip-actions"):
        expect(page.locator(gone)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight") <= 1.5 * 1123
