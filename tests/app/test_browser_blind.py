"""The blind test in a real browser: ten picks, then whose they were, and nothing before."""

import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from app.catalog.events import events_path
from app.sign_test import sign_test
from hllm.errors import CheckpointError
from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, TABLET, PHONE = (1280, 800), (768, 1024), (375, 812)
TELLS = re.compile(r"hllm|baseline|team|score|also #|elsewhere", re.I)


def answered(page, count):
    """Until the lists are those of a history of so many items."""
    expect(page.locator(".history li")).to_have_count(count)
    page.wait_for_function(
        "count => document.querySelector('.hllm').dataset.history.split(' ')"
        ".filter(Boolean).length === count",
        arg=count,
    )
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


def add(page, number, count):
    page.locator(f".card[data-id=book-{number:03d}]").evaluate("card => card.click()")
    answered(page, count)


def toggle(page):
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitemcheckbox", name="Blind test").click()


def choose(page, position, count):
    """Pick from the list, which has `count` items in its history by then."""
    row = page.locator(".blind-column .rec").nth(position - 1)
    row.wait_for()
    page.wait_for_selector(".blind-column .settling", state="detached")  # it takes no click
    item = row.get_attribute("data-id")
    row.evaluate("row => row.click()")
    answered(page, count)
    return item


def votes(page):
    key = f"hllm-live/{page.locator('.hllm').get_attribute('data-catalog')}/blind"
    return page.evaluate(
        "key => (JSON.parse(sessionStorage.getItem(key)) ?? { votes: [] }).votes", key
    )


def settled(page, teams):
    """Until the server has credited so many picks that count, and knows of all changes."""
    page.wait_for_function(
        "([key, teams]) => { const { votes } = JSON.parse(sessionStorage.getItem(key));"
        " return votes.every(vote => vote.isTold)"
        " && votes.filter(vote => vote.counts && vote.team).length === teams; }",
        arg=[f"hllm-live/{page.locator('.hllm').get_attribute('data-catalog')}/blind", teams],
    )


def kept(service):
    service.events.flush()
    with closing(sqlite3.connect(events_path(service.catalog.path))) as connection:
        return connection.execute(
            "SELECT item_id, position, team FROM blind_picks ORDER BY id"
        ).fetchall()


@pytest.mark.slow
def test_ten_picks_from_one_list_then_whose_they_were(open_page, url, page_service):
    page = open_page(url, DESKTOP)
    add(page, 1, 1)
    toggle(page)
    rows = page.locator(".blind-column .rec")
    expect(rows).to_have_count(10)
    for hidden in (".hllm-column", ".baseline-column", ".bands", ".agreement", ".captions"):
        expect(page.locator(hidden)).to_be_hidden()
    assert not TELLS.search(page.locator(".blind-column").inner_html().replace("hllm-live", ""))
    assert page.locator(".hllm-column, .baseline-column").evaluate_all(
        "columns => columns.map(column => column.innerHTML)"
    ) == ["", ""]
    picked = [choose(page, 1 + number % 4, 2 + number) for number in range(3)]
    add(page, 40, 5)  # the catalogue's is no pick
    expect(page.locator(".blind-count")).to_have_text("3 of 10 picks")
    settled(page, 3)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    answered(page, 3)
    expect(page.locator(".blind-count")).to_have_text("2 of 10 picks")
    settled(page, 2)
    assert [item for item, *_ in kept(page_service)] == picked[:2]
    page.reload()
    answered(page, 3)
    expect(page.locator(".blind-count")).to_have_text("2 of 10 picks")
    del picked[2:]
    page.wait_for_selector(".settling", state="detached")
    rows.nth(2).click()  # as people do
    answered(page, 4)
    for number in range(4, 11):
        choose(page, 1 + number % 5, number + 1)
    reveal = page.locator(".reveal")
    expect(reveal).to_be_visible()
    expect(reveal.locator(".reveal-picks li")).to_have_count(10)
    teams = reveal.locator(".reveal-picks li span:last-child").all_text_contents()
    found = kept(page_service)
    names = {"hllm": "HLLM", "baseline": "Baseline"}
    assert teams == [names[team] for *_, team in found] and len(found) == 10
    assert [item for item, *_ in found[:2]] == picked
    wins = teams.count("HLLM")
    p_value = f"p = {sign_test(wins, 10 - wins).p_value:.2g}"
    expect(reveal).to_contain_text("could well be chance" if 1 < wins < 9 else "unlikely")
    expect(reveal).to_contain_text(p_value if wins != 5 else "p = 1.00")
    expect(reveal).to_contain_text("position bias")
    expect(reveal).to_be_focused()
    expect(page.locator(".columns")).to_be_hidden()
    reveal.get_by_role("button", name="Again").click()
    expect(page.locator(".blind-count")).to_have_text("0 of 10 picks")
    expect(rows.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    expect(page.locator(".blind")).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('.answers') !== null")


@pytest.mark.slow
def test_the_drawer_tells_no_rank_and_adds_as_a_click_on_the_list_does(open_page, url):
    page = open_page(url, DESKTOP)
    add(page, 1, 1)
    add(page, 2, 2)
    toggle(page)
    page.locator(".blind-column .info").nth(3).click()
    drawer = page.locator(".drawer")
    expect(drawer).to_contain_text("During the blind test ranks, reasons and neighbours stay")
    for told in (".standing", ".why-body", ".nears"):
        assert drawer.locator(told).count() == 0
    drawer.get_by_role("button", name="Add to your history").click()
    expect(page.locator(".blind-count")).to_have_text("1 of 10 picks")
    answered(page, 3)
    page.locator(".history-face").first.hover()
    page.wait_for_timeout(300)
    expect(page.locator(".pushing")).to_be_hidden()
    page.keyboard.press("Escape")  # the drawer
    expect(drawer).to_be_hidden()
    expect(page.locator(".blind")).to_be_visible()
    page.locator(".blind-column .info").first.click()
    page.get_by_role("button", name="Back to both lists").click()
    expect(drawer.locator(".standing")).to_be_visible()


@pytest.mark.slow
def test_an_empty_history_says_what_to_do_and_clear_starts_anew(open_page, url):
    page = open_page(url, DESKTOP)
    expect(page.locator(".hllm")).to_have_attribute("data-example", re.compile(".+"))
    toggle(page)
    expect(page.locator(".hllm")).to_have_attribute("data-example", "")
    expect(page.locator(".start")).to_contain_text("nothing to predict from yet")
    add(page, 1, 1)
    choose(page, 2, 2)
    settled(page, 1)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".blind-count")).to_have_text("0 of 10 picks")
    page.get_by_role("button", name="Undo").click()
    answered(page, 2)
    expect(page.locator(".blind-count")).to_have_text("1 of 10 picks")
    expect(page.locator(".spoken")).to_contain_text("First in the blind list: Book number")


@pytest.mark.slow
def test_a_model_that_does_not_answer_is_said_with_the_way_back(
    open_page, serve, new_service, new_items, tmp_path
):
    def missing():
        raise CheckpointError("No model here.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    page = open_page(serve(service), DESKTOP)
    add(page, 1, 1)
    toggle(page)
    column = page.locator(".blind-column")
    expect(column).to_contain_text("The blind test needs both models. No model here.")
    column.get_by_role("button", name="Back to both lists").click()
    expect(page.locator(".baseline-column .rec")).to_have_count(10)


@pytest.mark.slow
def test_an_app_that_is_gone_costs_no_pick(open_page, url):
    page = open_page(url, DESKTOP)
    add(page, 1, 1)
    toggle(page)
    page.route(
        "**/component_server**",
        lambda route: (
            route.abort() if '"fn_name":"blind"' in route.request.post_data else route.continue_()
        ),
    )
    choose(page, 1, 2)
    expect(page.locator(".blind-problem")).to_contain_text("your last pick is counted later")
    page.unroute("**/component_server**")
    choose(page, 1, 3)
    settled(page, 2)
    expect(page.locator(".blind-problem")).to_be_empty()
    assert all("ERR_FAILED" in problem for problem in open_page.problems)
    open_page.problems.clear()


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize("size", [DESKTOP, TABLET, PHONE], ids=["desktop", "tablet", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_axe_finds_nothing_serious(open_page, url, size, scheme):
    page = open_page(url, size, color_scheme=scheme, reduced_motion="reduce")
    add(page, 1, 1)
    toggle(page)
    expect(page.locator(".blind-column .rec").first).to_be_visible()
    fits_and_has_no_serious_problem(page, size)
    for number in range(10):
        choose(page, 1 + number % 3, number + 2)
    expect(page.locator(".reveal-chance")).to_contain_text("chance")
    fits_and_has_no_serious_problem(page, size)
    if size == PHONE:
        expect(page.locator(".tabs [data-tab=baseline]")).to_be_hidden()
        expect(page.locator(".tabs")).to_contain_text("Blind test")


def fits_and_has_no_serious_problem(page, size):
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert serious_problems(page) == []
