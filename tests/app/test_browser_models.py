"""Two models that a visitor chooses, in a real browser: for that visitor alone."""

import re
import shutil
import threading

import pytest

from app.columns import Column
from app.errors import CatalogError
from app.models import Installed, Models
from app.service import Service
from tests.app.axe import needs_axe, serious_problems

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 800), (375, 812)
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)}"
GATE = threading.Event()


@pytest.fixture(scope="module")
def page_service(new_service, new_items, fake_recommender, tmp_path_factory):
    """Two models of the start, one that loads when it may, a strange one, one that does not fit."""
    base = new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(60))
    item_ids = [item.item_id for item in base.catalog.iter_items()]

    def column(title, gate=None):
        def load():
            if gate is not None:
                gate.wait(30)
            return fake_recommender(title, item_ids)

        return lambda: Column("hllm", title, load, numbers="not evaluated")

    def misfit():
        raise CatalogError("It was trained on another catalogue.")

    models = Models(
        [
            Installed("hllm", column("HLLM"), "recall@10 0.340"),
            Installed("minilm-decay", column("Baseline"), "recall@10 0.246"),
            Installed("sasrec", column("SASRec", GATE), "not evaluated"),
            Installed("strange", column(HOSTILE), "not evaluated"),
            Installed("misfit", column("Misfit"), "not evaluated", misfit, "python -m hllm.train"),
        ],
        ("hllm", "minilm-decay"),
    )
    for one in models.columns:
        one.load()
    return Service(base.catalog, models.columns, models=models, events=base.events)


def heads(page):
    expect(page.locator(".column-head h2")).to_have_count(2)
    return page.locator(".column-head h2").all_text_contents()


def opened(page):
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menu").get_by_text("Models …", exact=True).click()
    expect(page.locator(".models .model-row")).to_have_count(5)


def choose(page, left, right):
    opened(page)
    page.locator(f".models [name=left][value={left}]").check()
    page.locator(f".models [name=right][value={right}]").check()
    page.get_by_role("button", name="Show these two").click()


def test_a_choice_loads_in_sight_and_is_one_visitors_own(open_page, url, events_of, page_service):
    GATE.clear()
    page, other = open_page(url, DESKTOP), open_page(url, DESKTOP)
    assert heads(page) == ["HLLM", "Baseline"]
    opened(page)
    misfit = page.locator(".model-row.unfit")
    expect(misfit).to_contain_text("It was trained on another catalogue.")
    expect(misfit.locator("code")).to_have_text("python -m hllm.train")
    assert misfit.locator("input:disabled").count() == 2
    page.get_by_role("button", name="Close the details").click()
    choose(page, "sasrec", "minilm-decay")
    expect(page.locator(".hllm-column")).to_contain_text("SASRec is warming up")
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    GATE.set()
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    assert heads(page) == ["SASRec", "Baseline"]
    # Nothing calls the list of another model HLLM, nor counts it for HLLM.
    assert "HLLM" not in page.locator(".columns").inner_text()
    expect(page.locator(".score-line")).to_contain_text("alone, not for these models")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menu").get_by_text("Blind test", exact=True).click()
    expect(page.locator(".notices")).to_contain_text("choose these two first")
    recorded = len(events_of(page_service))
    page.locator(".hllm-column .rec").first.evaluate("row => row.click()")
    expect(page.locator(".hllm")).to_have_attribute("data-history", re.compile(r"^book-\d+$"))
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")
    assert len(events_of(page_service)) == recorded
    page.reload()
    expect(page.locator(".hllm-column h2")).to_have_text("SASRec")
    other.locator(".card").first.evaluate("card => card.click()")
    expect(other.locator(".hllm")).to_have_attribute("data-history", re.compile("book"))
    assert heads(other) == ["HLLM", "Baseline"]


@pytest.mark.slow
def test_a_link_names_its_models_and_two_equal_ones_are_refused(open_page, url):
    GATE.set()
    page = open_page(url, DESKTOP)
    opened(page)
    for side in ("left", "right"):
        page.locator(f".models [name={side}][value=hllm]").check()
    page.get_by_role("button", name="Show these two").click()
    expect(page.locator(".models-state")).to_have_text("Choose two different models.")
    key = page.locator(".hllm").get_attribute("data-catalog")
    guest = open_page(f"{url}#v=1&c={key}&h=book-001&m=minilm-decay&m=sasrec", DESKTOP)
    expect(guest.locator(".hllm")).to_have_attribute("data-history", "book-001")
    expect(guest.locator(".baseline-column h2")).to_have_text("SASRec")
    expect(guest.locator(".hllm-column h2")).to_have_text("Baseline")
    gone = open_page(f"{url}#v=1&c={key}&h=book-001&m=gone&m=sasrec", DESKTOP)
    expect(gone.locator(".notices")).to_contain_text("not installed here")
    assert heads(gone) == ["HLLM", "Baseline"]


@needs_axe
@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_strange_names_are_text_and_the_list_is_accessible(open_page, url, size):
    page = open_page(url, size)
    choose(page, "strange", "minilm-decay")
    expect(page.locator(".hllm-column h2")).to_have_text(HOSTILE)
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    opened(page)
    assert page.locator(".models img").count() == 0
    assert serious_problems(page) == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
