"""The page by keyboard and by ear, in a real browser: what is said, tab stops, axe."""

import shutil

import pytest

from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1440, 900), (375, 812)


@pytest.fixture(scope="module")
def url(serve, new_service, new_items, tmp_path_factory):
    return serve(new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(60)))


def history_is(page, *item_ids):
    expect(page.locator(".hllm")).to_have_attribute("data-history", " ".join(item_ids))
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def card(page, number):
    return page.locator(f".card[data-id=book-{number:03d}]")


def focus(page):
    """What has the keyboard: its class and the item, the action or nothing."""
    return page.evaluate(
        "[document.activeElement.className, document.activeElement.dataset.action || '']"
    )


@pytest.mark.slow
def test_every_change_is_said_with_where_the_lists_stand(open_page, url):
    page = open_page(url)
    page.evaluate(
        """() => {
            window.heard = [];
            const region = document.querySelector("[role=status]");
            new MutationObserver(() => window.heard.push(region.textContent.trim()))
                .observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )

    def heard(number):
        page.wait_for_function("number => window.heard.length >= number", arg=number)
        assert len(page.evaluate("window.heard")) == number
        return page.evaluate("window.heard.at(-1)")

    for number in (1, 2, 3):
        card(page, number).click()
        said = heard(number)
        assert f"Book number {number} added. {number} in the history." in said
        first = page.locator(".hllm-column .rec-title").first.text_content()
        assert f"10 recommendations updated. First in HLLM: {first}." in said
    page.locator(".history-face").nth(2).press("Shift+ArrowLeft")
    assert "Book number 3 moved to number 2 of 3." in heard(4)
    page.keyboard.press("Delete")
    assert "Book number 3 removed. 2 in the history." in heard(5)
    page.locator("[data-action=undo]").press("Enter")
    assert "Book number 3 added. 3 in the history." in heard(6)
    for number in (7, 8):  # the same words twice are said twice
        card(page, 1).click()
        assert heard(number) == "Book number 1 is already number 1 of your history."
    page.get_by_label("Recommend from").select_option("Mystery")
    assert "Other items are recommended." in heard(9)
    page.locator(".category").select_option("Mystery")
    assert heard(10) == "15 items"
    page.locator(".category").select_option("Fantasy")
    assert heard(11) == "15 items"


@pytest.mark.slow
def test_few_tab_stops_and_arrow_keys_between(open_page, url):
    page = open_page(url)
    page.keyboard.press("Tab")
    assert focus(page)[1] == "to-answers"
    page.keyboard.press("Enter")
    assert "rec" in focus(page)[0]
    for number in range(5):
        card(page, number).click()
    history_is(page, *(f"book-{number:03d}" for number in range(5)))
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".hllm-column .rec").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".hllm-column .rec").nth(1)).to_be_focused()
    for stop in (".hllm-column .info >> nth=1", ".baseline-column .rec >> nth=0"):
        page.keyboard.press("Tab")
        expect(page.locator(stop)).to_be_focused()
    page.locator(".skip").focus()
    stops = []
    while not stops or "rec" not in stops[-1][0]:
        page.keyboard.press("Tab")
        stops.append(focus(page))
        assert len(stops) < 24, stops
    covers = [stop for stop in stops if "history-face" in stop[0] or "card" in stop[0]]
    assert len(covers) == 2, stops
    card(page, 10).focus()
    per_row = page.locator(".card").evaluate_all(
        "c => c.filter(x => x.offsetTop === c[0].offsetTop && x.getBoundingClientRect().top"
        " === c[0].getBoundingClientRect().top).length"
    )
    for key, number in (("ArrowDown", 10 + per_row), ("ArrowLeft", 9 + per_row), ("Home", 0)):
        page.keyboard.press(key)
        expect(card(page, number)).to_be_focused()
    page.locator(".history-face").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".history-face").nth(1)).to_be_focused()
    history_is(page, *(f"book-{number:03d}" for number in range(5)))


@pytest.mark.slow
def test_keyboard_is_not_lost_when_what_it_was_on_goes(open_page, url):
    page = open_page(url)
    page.locator("[data-dismiss=compare]").press("Enter")
    expect(page.locator("[data-dismiss=move]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".hllm-column .rec").first).to_be_focused()
    page.locator("[data-action=own]").press("Enter")
    expect(card(page, 0)).to_be_focused()
    expect(page.locator(".example").first).to_be_visible()
    page.wait_for_selector(".settling", state="detached")
    page.locator(".example").first.press("Enter")
    expect(page.locator(".hllm-column .rec").first).to_be_focused()
    page.locator("[data-action=clear]").press("Enter")
    expect(page.locator(".popular")).to_be_visible()
    assert focus(page)[1] == "clear"
    page.wait_for_selector(".settling", state="detached")
    page.locator(".pop").first.press("Enter")
    expect(page.locator(".hllm-column .rec").first).to_be_focused()
    page.locator(".history-face").press("Delete")
    expect(page.locator(".history li")).to_have_count(0)
    assert focus(page)[1] == "undo"
    for _ in range(4):
        page.keyboard.press("Enter")
    assert focus(page)[1] == "undo"
    page.locator("[data-action=more]").press("Enter")
    expect(page.locator(".card")).to_have_count(60)
    expect(card(page, 48)).to_be_focused()


@needs_axe
@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop"),
        pytest.param(PHONE, "dark", id="phone", marks=pytest.mark.slow),
    ],
)
def test_axe_finds_nothing_serious(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    states = {
        "start": lambda: None,
        "lists": lambda: (card(page, 1).click(), history_is(page, "book-001")),
        "baseline": lambda: page.evaluate(
            "document.querySelector('.tabs [data-tab=baseline]').click()"
        ),
        "drawer": lambda: (
            page.evaluate("document.querySelector('.baseline-column .info').click()"),
            expect(page.locator(".nears").first).to_be_visible(),
        ),
        "nothing": lambda: (
            page.keyboard.press("Escape"),
            page.evaluate("document.querySelector('.tabs [data-tab=browse]').click()"),
            page.locator(".search").fill("qqq"),
            expect(page.locator(".nothing")).to_be_visible(),
        ),
    }
    for state, reach in states.items():
        reach()
        assert (state, serious_problems(page)) == (state, [])
