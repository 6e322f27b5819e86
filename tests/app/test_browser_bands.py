"""How it works, the scoreboard, and what an item of the history pushes, in a real browser."""

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


def pick(page, *numbers):
    """From the catalogue, each when the one before is answered."""
    for number in numbers:
        page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
        expect(page.locator(".hllm")).to_have_attribute(
            "data-history", re.compile(rf"book-{number:03d}$")
        )
        expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def judged(page, count):
    """Until so many picks are counted."""
    key = f"{page.locator('.hllm').get_attribute('data-catalog')}/picks"
    page.wait_for_function(
        "([key, count]) => (JSON.parse(sessionStorage.getItem('hllm-live/' + key)) ?? []).length"
        " === count",
        arg=[key, count],
    )


@pytest.mark.slow
def test_how_it_works_shows_the_numbers_of_the_answer(open_page, url):
    page = open_page(url, DESKTOP)
    pick(page, 1, 2, 3)
    head = page.get_by_role("button", name="How it works")
    expect(head).to_contain_text("User LLM 1 read, 2 cached, 1.3 ms → nearest of 60, 0.5 ms")
    panel = page.locator(".how-panel")
    expect(panel).to_be_hidden()
    head.click()
    expect(panel.locator(".item-did")).to_have_text("0 ms now: all 60 texts were read ahead")
    expect(panel.locator(".user-did")).to_have_text("1.3 ms: 1 read now, 2 from the cache")
    expect(panel).to_contain_text("22.7M parameters · fp32 · cpu")
    expect(panel.locator("polyline")).to_have_count(3)
    expect(panel.locator(".legend")).to_contain_text("model 1.8 ms")
    page.get_by_label("without the cache").check()
    expect(panel.locator(".whole")).to_contain_text("3 read, 3.5 ms, 2.3 ms more")
    page.locator(".hllm-column .info").first.click()
    title = page.locator(".hllm-column .rec-title").first.text_content()
    expect(panel.locator(".inside")).to_contain_text(title)
    expect(panel.locator(".tokens")).to_contain_text("[ITEM]")
    page.keyboard.press("Escape")
    pick(page, 4)
    expect(panel.locator(".user-did")).to_contain_text("1 read now, 3 from the cache")
    expect(panel.locator(".whole")).to_contain_text("4 read")
    page.locator("[data-action=clear]").click()
    expect(panel.locator(".boxes")).to_be_hidden()
    expect(panel).to_contain_text("when HLLM has answered")
    assert page.evaluate("document.documentElement.scrollWidth") <= DESKTOP[0]
    head.press("Enter")
    expect(panel).to_be_hidden()


@pytest.mark.slow
def test_picks_from_the_catalogue_are_scored_and_no_others(open_page, url, page_service):
    page = open_page(url, DESKTOP)
    head = page.get_by_role("button", name="Scoreboard")
    pick(page, 5)  # the first has no history, so no prediction
    history, closer = ["book-005"], {"hllm": 0, "baseline": 0}
    for count, number in enumerate((7, 11, 30), 1):
        item = f"book-{number:03d}"
        ranks = {
            column.key: column.question(lambda r, item=item: r.rank_of(history, item))[1].rank
            for column in page_service.columns
        }
        pick(page, number)
        judged(page, count)
        history.append(item)
        closer[min(ranks, key=ranks.get)] += 1
        words = f"You chose Book number {number}: HLLM #{ranks['hllm']}, "
        expect(head).to_contain_text(f"{words}baseline #{ranks['baseline']}")
        standing = f"closer so far: HLLM {closer['hllm']}, baseline {closer['baseline']}"
        expect(head).to_contain_text(standing)
    page.locator(".hllm-column .rec").nth(3).focus()
    page.wait_for_selector(".settling", state="detached")
    page.keyboard.press("Enter")
    expect(page.locator(".history li")).to_have_count(5)
    # A reload that cuts off an answer would be an error in the console.
    page.wait_for_function("document.querySelector('.hllm').dataset.history.split(' ').length == 5")
    page.reload()
    expect(head).to_contain_text("You chose Book number 30")
    head.click()
    expect(page.locator(".past li")).to_have_count(3)
    row = page.locator(".scores tbody tr").nth(2)
    kept = page_service.events.pick_sums(10)  # of other tests, too
    picks = sum(sums.picks for sums in kept)
    expect(row).to_contain_text(f"All {len(kept)} visit")
    expect(row).to_contain_text(f", {picks} picks")
    expect(row.locator("td").nth(1)).to_have_text(str(sum(sums.closer[0] for sums in kept)))
    page.locator(".past a").last.click()
    expect(page.get_by_role("dialog", name="Book number 7")).to_be_visible()


@pytest.mark.slow
def test_resting_on_an_item_of_the_history_marks_what_it_pushes(open_page, url, page_service):
    page = open_page(url, DESKTOP)
    pick(page, 1, 2, 3)
    history = ["book-001", "book-002", "book-003"]
    expected = set()
    for column in page_service.columns:
        rows = page.locator(f".{column.key}-column .rec").evaluate_all(
            "rows => rows.map(row => row.dataset.id)"
        )
        for row in rows:
            changes = column.question(lambda r, row=row: r.explain(history, row))[1]
            expected |= {(column.key, row)} if changes[1].change < 0 else set()
    assert expected
    page.locator(".history-face").nth(1).hover()
    said = f"{len(expected)} row{'s' if len(expected) > 1 else ''} would fall without"
    expect(page.locator(".pushing")).to_have_text(f"{said} Book number 2")
    marked = page.locator(".rec.pushed").evaluate_all(
        "rows => rows.map(row => [row.dataset.source, row.dataset.id])"
    )
    assert {tuple(pair) for pair in marked} == expected
    page.locator(".search").hover()
    expect(page.locator(".rec.pushed")).to_have_count(0)
    expect(page.locator(".pushing")).to_be_hidden()
    page.locator(".history-face").nth(1).focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".pushing")).to_contain_text("Book number 1")


@pytest.mark.slow
def test_fast_picks_count_only_where_both_models_had_answered(open_page, url):
    page = open_page(url, DESKTOP)
    pick(page, 1)
    page.evaluate(
        "for (const number of ['002', '003', '004'])"
        " document.querySelector(`.card[data-id=book-${number}]`).click()"
    )
    expect(page.locator(".hllm")).to_have_attribute("data-history", re.compile("book-004$"))
    judged(page, 1)
    expect(page.get_by_role("button", name="Scoreboard")).to_contain_text("Book number 2")


@pytest.mark.slow
def test_titles_on_the_scoreboard_are_text(
    open_page, serve, new_service, new_hostile_items, tmp_path
):
    items = new_hostile_items()
    page = open_page(serve(new_service(tmp_path / "c.db", items)), DESKTOP)
    for count in range(len(items)):
        page.locator(".card").nth(count).evaluate("card => card.click()")
        expect(page.locator(".history li")).to_have_count(count + 1)
        expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
        judged(page, count)
    page.get_by_role("button", name="Scoreboard").click()
    expect(page.locator(".past li")).to_have_count(len(items) - 1)
    titles = page.locator(".past a").all_text_contents()
    assert set(titles) == {" ".join(item.title.split()) for item in items[1:]}
    page.locator(".card + .info").first.evaluate("button => button.click()")
    page.get_by_role("button", name="How it works").click()
    expect(page.locator(".opened")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panels_fit_and_axe_finds_nothing_serious(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    pick(page, 1, 2, 3)
    judged(page, 2)
    page.locator(".hllm-column .info").first.evaluate("button => button.click()")
    expect(page.locator(".changes")).to_be_visible()
    page.keyboard.press("Escape")
    for band, shown in (("how", ".tokens"), ("score", ".scores")):
        page.locator(f"[data-band={band}]").click()
        expect(page.locator(shown)).to_be_visible()
        assert page.locator(".panel:visible").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        panel = page.locator(".panel:visible")
        assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth")
        assert serious_problems(page) == []


@pytest.mark.slow
def test_an_app_that_stops_is_said_in_the_panels(open_page, url):
    page = open_page(url, DESKTOP)
    pick(page, 1, 2)
    page.locator("[data-band=how]").click()
    page.route("**/component_server**", lambda route: route.abort())
    page.get_by_label("without the cache").check()
    expect(page.locator(".whole")).to_have_text("The app does not answer.")
    page.locator("[data-band=score]").click()
    expect(page.locator(".score-note")).to_have_text("The app does not answer.")
    assert all("ERR_FAILED" in problem for problem in open_page.problems)
    open_page.problems.clear()
