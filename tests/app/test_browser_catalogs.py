"""Several catalogues side by side, in a real browser: chosen by each visitor, never mixed."""

import shutil
import threading
from dataclasses import replace

import pytest

from app.columns import Column
from app.loaded import Installed
from app.models import Models
from app.service import Service
from hllm.errors import StaleEmbeddingsError
from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 800), (390, 844)
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)}"
GATE = threading.Event()


@pytest.fixture(scope="module")
def shelf(new_service, new_items, fake_recommender, beside, tmp_path_factory):
    """Books; games of the same ids, whose models load when they may; one without embeddings."""
    folder = tmp_path_factory.mktemp("shelf")
    books = new_service(folder / "1.db", new_items(60))
    games = [
        replace(item, title=f"Game {n}", creator="", categories=(), description="", price=None)
        for n, item in enumerate(new_items(50))
    ]
    item_ids = [item.item_id for item in games]

    def load(title):
        GATE.wait(30)
        return fake_recommender(title, item_ids)

    def missing():
        raise StaleEmbeddingsError("There are no embeddings: make them with  python -m hllm.embed.")

    def service(name, items, load, check=lambda: None):
        made = new_service(folder / f"{name[:5].strip('<')}.db", items, name=name)
        installed = [
            Installed("hllm", lambda: Column("hllm", "HLLM", lambda: load("HLLM")), "", check),
            Installed(
                "b", lambda: Column("baseline", "Baseline", lambda: load("Baseline")), "", check
            ),
        ]
        models = Models(installed, ("hllm", "b"), stays=False)
        return Service(made.catalog, None, models=models, events=made.events)

    bare = service(HOSTILE, new_items(8), lambda title: None, missing)
    return beside(books=books, games=service("Games", games, load), bare=bare)


@pytest.fixture(scope="module")
def page_service(shelf):
    return shelf


def opened(page):
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menu").get_by_text("Catalogues …", exact=True).click()
    expect(page.locator(".catalogs li")).to_have_count(3)


def choose(page, name):
    opened(page)
    page.locator(".catalogs a", has_text=name).click()
    expect(page.locator(".catalog-name strong")).to_have_text(name)


def history(page):
    """Titles in the strip."""
    return page.locator(".history .history-title").all_text_contents()


def add(page, title):
    before = len(history(page))
    page.locator(".grid .card-title").get_by_text(title, exact=True).click()
    expect(page.locator(".history li")).to_have_count(before + 1)
    answered(page)


def answered(page):
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)


def test_a_chosen_catalogue_loads_in_sight_and_keeps_its_own_history(open_page, url):
    GATE.clear()
    page = open_page(url, DESKTOP)
    page.get_by_role("button", name="Start your own").click()
    add(page, "Book number 3")
    choose(page, "Games")
    assert page.url == f"{url}/?catalog=games"
    page.get_by_role("button", name="Start your own").click()  # and not the example
    assert history(page) == []
    page.locator(".grid .card").nth(3).click()
    # Browsing goes at once, and the columns say what they wait for.
    expect(page.locator(".hllm-column")).to_contain_text("HLLM is warming up")
    GATE.set()
    answered(page)
    assert history(page) == ["Game 3"]
    assert "Book" not in page.locator(".columns").inner_text()
    choose(page, "Test books")
    answered(page)
    assert (page.url, history(page)) == (f"{url}/", ["Book number 3"])


@pytest.mark.slow
def test_each_visitor_has_a_catalogue_and_events_are_beside_it(open_page, url, shelf, events_of):
    GATE.set()
    page, other = open_page(url, DESKTOP), open_page(url, DESKTOP)
    page.get_by_role("button", name="Start your own").click()
    add(page, "Book number 3")
    recorded = len(events_of(shelf))
    choose(page, "Games")
    expect(page.locator(".catalog-name span")).to_have_text("50 items")
    page.locator(".grid .card").nth(3).click()
    answered(page)
    add(page, "Game 9")
    page.locator(".grid .info").first.click()
    expect(page.locator(".drawer-title")).to_have_text("Game 0")
    page.reload()
    answered(page)
    assert history(page) == ["Game 3", "Game 9"]
    games = events_of(shelf.installed["games"])
    assert {event[0] for event in games} == {"shown", "clicked"}
    assert len(events_of(shelf)) == recorded
    choose(page, "Test books")
    answered(page)
    page.go_back()
    answered(page)
    assert history(page) == ["Game 3", "Game 9"]
    # Nobody else sees another catalogue for that.
    other.get_by_role("button", name="Start your own").click()
    add(other, "Book number 7")
    expect(other.locator(".catalog-name strong")).to_have_text("Test books")


@pytest.mark.slow
def test_a_link_brings_its_catalogue_along_and_changes_no_history(open_page, url, shelf):
    GATE.set()
    page = open_page(url, DESKTOP)
    page.get_by_role("button", name="Start your own").click()
    add(page, "Book number 3")
    games = shelf.installed["games"]
    link = f"#v=1&c={games.key}&name=Games&h=book-001&h=book-002&m=b&m=hllm"
    page.goto(f"{url}/?stage&lang=en{link}")  # into the open page
    expect(page.locator(".catalog-name strong")).to_have_text("Games")
    answered(page)
    assert history(page) == ["Game 1", "Game 2"]
    assert page.url == f"{url}/?stage&lang=en&catalog=games{link}"
    expect(page.locator(".hllm-column h2")).to_have_text("Baseline")
    page.goto(f"{url}/{link.replace('book-001', 'book-004')}")  # a page that is opened with it
    answered(page)
    assert history(page) == ["Game 4", "Game 2"]
    page.get_by_role("button", name="Start your own").click()
    assert page.url == f"{url}/?catalog=games"
    page.evaluate(f"location.hash = '#v=1&c={shelf.key}&name=Test%20books&h=book-008'")
    expect(page.locator(".catalog-name strong")).to_have_text("Test books")
    answered(page)
    assert history(page) == ["Book number 8"]
    page.get_by_role("button", name="Back to yours").click()
    expect(page.locator(".history .history-title")).to_have_text(["Book number 3"])


@pytest.mark.slow
def test_every_part_of_the_page_follows_the_catalogue(open_page, url):
    GATE.set()
    page = open_page(f"{url}/?catalog=games", DESKTOP)
    page.get_by_role("button", name="Start your own").click()
    add(page, "Game 3")
    expect(page.locator(".how-line")).to_contain_text("nearest of 50")
    page.locator(".search").fill("game 4")
    expect(page.locator(".browse-count")).to_have_text("11 items")
    page.locator(".grid .card").nth(2).click()
    expect(page.locator(".score-line")).to_contain_text("Game 4")
    page.get_by_role("button", name="Write an item that does not exist").click()
    page.locator(".writer [name=title]").fill("A game of mine")
    page.get_by_role("button", name="Encode").click()
    expect(page.locator(".writer-result")).to_contain_text("Game ")
    page.get_by_role("button", name="Close the details").click()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menu").get_by_text("Blind test", exact=True).click()
    expect(page.locator(".blind-column .rec")).to_have_count(10)
    assert "Book" not in page.locator(".blind-column").inner_text()
    page.keyboard.press("Escape")
    with page.expect_download() as found:
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menu").get_by_text("Download as CSV", exact=True).click()
    assert "Game 3" in found.value.path().read_text("utf-8")


@needs_axe
@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_strange_names_are_text_and_what_is_missing_is_said(open_page, url, size):
    page = open_page(f"{url}/?catalog=gone", size)
    expect(page.locator(".notices")).to_contain_text("“gone” cannot be shown here: “Test books”")
    assert page.url == f"{url}/"
    opened(page)
    assert page.locator(".catalogs img").count() == 0
    missing = page.locator(".catalogs li", has_text="onerror")
    expect(missing).to_contain_text("HLLM: There are no embeddings")
    assert serious_problems(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    missing.locator("a").click()
    expect(page.locator(".catalog-name strong")).to_have_text(HOSTILE)
    page.locator(".grid .card").first.click()
    expect(page.locator(".column-message.failed")).to_have_count(2)
    expect(page.locator(".how-line")).to_have_text(
        "No HLLM answers here: its steps have no numbers."
    )
    expect(page.locator(".score-line")).to_have_text(
        "Picks count where both models recommend: here one does not."
    )
    page.locator(".search").fill("number 7")
    expect(page.locator(".grid .card")).to_have_count(1)


@pytest.mark.slow
def test_a_catalogue_in_chinese(open_page, url):
    page = open_page(f"{url}/?catalog=games&lang=zh", DESKTOP)
    expect(page.locator(".catalog-name strong")).to_have_text("Games")
    expect(page.locator(".catalog-name span")).to_have_text("50 个物品")
    page.get_by_role("button", name="更多", exact=True).click()
    page.get_by_role("menu").get_by_text("目录……", exact=True).click()
    page.locator(".catalogs a", has_text="Test books").click()
    expect(page.locator(".catalog-name strong")).to_have_text("Test books")
    expect(page.locator(".catalog-name span")).to_have_text("60 个物品")
