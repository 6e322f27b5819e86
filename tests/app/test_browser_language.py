"""The page in Chinese, in a real browser: chosen by it, switched, remembered, all of it."""

import re
import shutil

import pytest

from app.catalog import Query
from app.columns import BASELINE_DOES, Column
from app.installed import HLLM_DOES, KNN_DOES, POOLINGS
from app.models import Installed, Models
from app.service import Service
from tests.app.axe import needs_axe, serious_problems
from tests.app.test_browser_map import FLAGS, SOFTWARE

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1280, 800), (390, 844)
CHINESE = "zh-CN"
# What is written so in Chinese, too: names of models and metrics, units, keys, fields, fakes.
ALSO_CHINESE = re.compile(
    r"\b(?:HLLM|Live|Item LLM|User LLM|LLM|MiniLM|token|MRR|MMR|JSON|CSV|Python|ITEM|ID|Esc|Ctrl"
    r"|Shift|Delete|fp32|float32|int4|cpu|MB|ms|fake|title|description|categories"
    r"|category|English|team-draft interleaving|Radlinski et al|Item-kNN|recall|ndcg|PCA)\b",
    re.ASCII,  # a Chinese character beside a name is no part of it
)
# Everything that is seen or heard: texts, names and hints of elements that have a box.
SAID = """() => {
    const root = document.querySelector(".hllm"), said = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let n = walker.nextNode(); n; n = walker.nextNode()) {
        const shown = n.parentElement.getClientRects().length > 0;
        if (shown || n.parentElement.closest("[role=status]")) said.push(n.data);
    }
    for (const e of root.querySelectorAll("*"))
        if (e.getClientRects().length)
            for (const name of ["aria-label", "title", "placeholder", "aria-valuetext"])
                if (e.hasAttribute(name)) said.push(e.getAttribute(name));
    return said;
}"""


@pytest.fixture
def webgl(chromium):
    """A browser that can draw the map, in software, which takes its time."""
    path = shutil.which("chromium")
    browser = chromium.browser_type.launch(executable_path=path, args=[*FLAGS, *SOFTWARE])
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page_service(new_service, new_items, fake_recommender, tmp_path_factory):
    """Both models of the start, and others to choose from."""
    base = new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(60))
    item_ids = [item.item_id for item in base.catalog.iter_items()]
    numbers = "recall@10 0.340, ndcg@10 0.273 (test, leave-one-out, 5,000 simulated readers)"

    def offered(name, title, does, said):
        def column():
            load = lambda: fake_recommender("MiniLM", item_ids)  # noqa: E731
            return Column("baseline", title, load, does=does, numbers=said)

        return Installed(name, column, said)

    models = Models(
        [
            Installed("hllm", lambda: base.columns[0], numbers),
            offered("minilm-decay", POOLINGS["decay"], BASELINE_DOES, numbers),
            offered("minilm-mean", POOLINGS["mean"], BASELINE_DOES, "not evaluated"),
            offered("other", "HLLM", HLLM_DOES, "recall@10 0.1 (validation, temporal)"),
            offered("item-knn", "Item-kNN", KNN_DOES, "ndcg@10 0.1 (test, files, 7 users)"),
        ],
        ("hllm", "minilm-decay"),
    )
    for one in models.columns:
        one.load()
    return Service(base.catalog, models.columns, models=models, events=base.events)


@pytest.fixture(scope="module")
def of_catalogue(page_service):
    """The texts of the catalogue, longest first: they are what they are in any language."""
    items = page_service.catalog.page(Query(), limit=60).items
    fields = [(i.title, i.creator, i.description, i.item_id, *i.categories) for i in items]
    texts = {text for row in fields for text in row} | {page_service.catalog_name}
    return sorted(texts, key=len, reverse=True)


def english(page, of_catalogue):
    """What is left of English sentences on the page."""
    left = []
    for said in page.evaluate(SAID):
        rest = said
        for text in of_catalogue:
            rest = rest.replace(text, " ")
        if re.search(r"[A-Za-z]{2,}", ALSO_CHINESE.sub(" ", rest)):
            left.append(said)
    return left


def heading(page):
    return page.locator('[data-band="how"] b')


def choose(page, name):
    page.locator(".menu > button").click()
    page.get_by_role("menuitem", name=name).click()


def test_the_browser_chooses_and_the_menu_switches(open_page, url):
    page = open_page(url, DESKTOP, locale=CHINESE)
    expect(heading(page)).to_have_text("工作原理")
    expect(page.locator(".hllm-column .does")).to_have_text("用历史记录训练：预测你的下一个选择。")
    assert page.evaluate("document.documentElement.lang") == CHINESE
    expect(page).to_have_title(re.compile("推荐"))
    page.locator(".grid .card").nth(7).click()
    expect(page.locator(".strip-title")).to_have_text("你的历史记录")
    choose(page, "English")
    expect(heading(page)).to_have_text("How it works")
    expect(page.locator(".history li")).to_have_count(1)


@pytest.mark.slow
def test_the_choice_is_remembered_and_the_address_wins(open_page, url):
    page = open_page(url, DESKTOP, locale=CHINESE)
    choose(page, "English")
    expect(heading(page)).to_have_text("How it works")
    page.reload()
    expect(heading(page)).to_have_text("How it works")
    page.goto(f"{url}?lang=zh")
    expect(heading(page)).to_have_text("工作原理")
    choose(page, "English")
    expect(heading(page)).to_have_text("How it works")
    assert "lang" not in page.url


def test_an_english_page_asks_for_no_translation(open_page, url):
    page = open_page(url, DESKTOP, locale="en-GB")
    asked = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.reload()
    expect(heading(page)).to_have_text("How it works")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    assert any('"answer"' in body for body in asked)
    assert not any('"language"' in body or '"lang"' in body for body in asked)


@pytest.mark.slow
@needs_axe
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_left_in_english(open_page, url, of_catalogue, webgl, size):
    viewport = {"width": size[0], "height": size[1]}
    page = open_page(url, context=webgl.new_context(viewport=viewport, locale=CHINESE))
    left = {}

    def look(step):
        left[step] = english(page, of_catalogue)

    def show(tab):
        if size == PHONE:
            page.locator(f".tabs [data-tab={tab}]").click()

    look("start")
    page.locator(".grid .card").nth(3).click()
    page.locator(".grid .card").nth(8).click()
    expect(page.locator(".history li")).to_have_count(2)
    show("hllm")
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    look("two clicks")
    assert serious_problems(page) == []
    page.locator("[data-band=how]").click()
    page.locator(".without").check()
    expect(page.locator(".whole")).to_contain_text("余弦相似度")
    look("how it works")
    page.locator("[data-band=score]").click()
    expect(page.locator(".scores tbody tr")).to_have_count(4)
    look("scoreboard")
    page.locator("[data-band=score]").click()
    page.locator(".hllm-column .info").first.click()
    expect(page.locator(".changes tbody tr")).to_have_count(2)
    look("drawer")
    assert serious_problems(page) == []
    page.keyboard.press("Escape")
    page.locator("[data-action=what-if]").click()
    page.locator("[data-slider=diversity]").fill("0.5")
    page.locator("[data-action=what-if-reverse]").click()
    expect(page.locator(".strip-title")).to_have_text("假设：2 个物品，已反转")
    expect(page.locator(".column-note").first).to_contain_text("已重排")
    look("what if")
    page.locator("[data-action=what-if-back]").click()
    page.locator(".menu > button").click()
    look("menu")
    page.keyboard.press("Escape")
    show("browse")
    page.locator("[data-action=write]").click()
    page.locator(".drawer [name=title]").fill("火星")
    page.locator(".drawer [type=submit]").click()
    expect(page.locator(".writer-state")).to_have_text("已编码。")
    look("an item")
    page.locator("[data-mode=wish]").click()
    page.locator(".drawer [name=wish]").fill("火星")
    page.locator(".drawer [type=submit]").click()
    expect(page.locator(".writer-state")).to_have_text("已找到。")
    look("a wish")
    page.locator("[data-action=close]").click()
    choose_check(page, "盲测")
    expect(page.locator(".blind-column .rec")).to_have_count(10)
    look("blind test")
    for picked in range(10):
        expect(page.locator(".blind-count")).to_have_text(f"已选 {picked} / 10")
        page.locator(".blind-column .rec:not(.settling)").last.click()
    expect(page.locator(".reveal-chance")).to_contain_text("符号检验")
    look("reveal")
    page.locator("[data-action=leave-blind]").click()
    show("browse")
    page.locator("[data-view=map]").click()
    expect(page.locator(".map")).to_have_attribute("data-points", "60")
    expect(page.locator(".map .hint")).to_contain_text("距离会失真")
    look("map")
    assert serious_problems(page) == []
    page.locator("[data-view=covers]").click()
    choose(page, "模型……")
    expect(page.locator(".models .model-row")).to_have_count(5)
    look("models")
    page.locator(".models [name=left][value=minilm-decay]").check()
    page.locator(".models [name=right][value=minilm-decay]").check()
    page.locator(".models [type=submit]").click()
    expect(page.locator(".models-state")).to_have_text("请选择两个不同的模型。")
    look("the same model twice")
    page.locator(".models [name=left][value=hllm]").check()
    page.locator(".models [name=right][value=minilm-mean]").check()
    page.locator(".models [type=submit]").click()
    expect(page.locator(".baseline-column h2")).to_have_text("MiniLM，全部平均")
    expect(page.locator(".score-line")).to_contain_text("不为这两个模型统计")
    show("baseline")
    look("other models")
    show("browse")
    page.locator(".search").fill("zzz")
    expect(page.locator(".nothing")).to_contain_text("没有找到“zzz”")
    of_catalogue = [*of_catalogue, "zzz"]
    page.locator("[data-action=clear]").click()
    show("hllm")
    expect(page.locator(".pops .item")).to_have_count(10)
    look("nothing found, nothing clicked")
    assert {step: said for step, said in left.items() if said} == {}


def choose_check(page, name):
    page.locator(".menu > button").click()
    page.get_by_role("menuitemcheckbox", name=name).click()


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, (768, 1024), PHONE], ids=["1280", "768", "390"])
def test_no_button_breaks_its_words(open_page, url, size):
    page = open_page(url, size, locale=CHINESE)
    page.locator(".grid .card").first.click()
    expect(page.locator(".history li")).to_have_count(1)
    script = """() => [...document.querySelectorAll(".hllm button.button, .tabs button")]
        .filter(button => button.getClientRects().length)
        .filter(button => {
            const range = document.createRange();
            range.selectNodeContents(button);
            const tops = [...range.getClientRects()].map(({ top }) => top);
            return Math.max(...tops) - Math.min(...tops) > 8;
        })
        .map(button => button.innerText)"""
    assert page.evaluate(script) == []
    assert page.evaluate("document.documentElement.scrollWidth") == size[0]
