"""The page in a real browser when something is unusual: titles, catalogues, models, failures."""

import shutil
import threading

import pytest
from PIL import Image

from app.catalog import CatalogItem
from app.columns import load_in_background
from app.service import Service
from tests.waiting import wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1440, 900), (375, 812)


@pytest.fixture(scope="module")
def url(serve, new_service, new_items, tmp_path_factory):
    return serve(new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(20)))


def history_is(page, item_id):
    expect(page.locator(".hllm")).to_have_attribute("data-history", item_id)
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_hostile_titles_are_text(
    open_page, serve, new_service, new_hostile_items, hostile_titles, tmp_path, size
):
    page = open_page(
        serve(new_service(tmp_path / "c.db", new_hostile_items(), name=hostile_titles[1])), size
    )
    titles = page.locator(".card-title").all_text_contents()
    assert titles == list(hostile_titles)
    expect(page.locator(".catalog-name strong")).to_have_text(hostile_titles[1])
    for number in range(4):
        page.locator(".card").nth(number).click()
    expect(page.locator(".history li")).to_have_count(4)
    expect(page.locator(".hllm-column .rec")).to_have_count(2)
    shown = page.locator(".hllm-column .rec-title").all_text_contents()
    assert sorted(shown) == sorted(hostile_titles[4:])
    names = page.locator(".history-face").evaluate_all("faces => faces.map(f => f.title)")
    assert names == list(hostile_titles[:4])
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_long_titles_stay_inside(open_page, serve, new_service, tmp_path):
    items = [
        CatalogItem(
            item_id=f"long-{n}", title="Donaudampfschifffahrt" * 30 + str(n), creator="x" * 400
        )
        for n in range(14)
    ]
    url = serve(new_service(tmp_path / "c.db", items, name="N" * 300))
    for size in (DESKTOP, PHONE):
        page = open_page(url, size)
        page.locator(".card").first.click()
        expect(page.locator(".hllm-column .rec")).to_have_count(10)
        if size == PHONE:
            page.locator(".tabs [data-tab=hllm]").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_history_of_items_that_are_gone_says_so(open_page, url):
    page = open_page(url)
    page.locator("[data-id=book-001].card").click()
    history_is(page, "book-001")
    page.evaluate(
        """() => {
            const isKey = k => /^hllm-live\\/[0-9a-f]+$/.test(k);
            const key = Object.keys(sessionStorage).find(isKey);
            const stored = JSON.parse(sessionStorage.getItem(key));
            stored.history.push({ id: "gone", title: "Gone", creator: "", cover: "" });
            sessionStorage.setItem(key, JSON.stringify(stored));
        }"""
    )
    page.reload()
    history_is(page, "book-001")
    expect(page.locator(".notices")).to_contain_text("1 item is not in this catalogue")


def test_a_history_that_is_cut_off_says_so(
    open_page, serve, new_service, new_items, tmp_path, monkeypatch
):
    monkeypatch.setattr("app.render.MAX_HISTORY", 3)
    page = open_page(serve(new_service(tmp_path / "c.db", new_items(20))))
    for number in range(3):
        page.locator(f"[data-id=book-00{number}].card").click()
    history_is(page, "book-000 book-001 book-002")
    expect(page.locator(".notices")).to_have_text("")
    page.evaluate("window.entry = document.querySelector('.history li[data-id=book-001]')")
    page.locator("[data-id=book-003].card").click()
    history_is(page, "book-001 book-002 book-003")
    said = "Only the 3 most recent items count: the oldest one left."
    expect(page.locator(".notices")).to_have_text(said)
    expect(page.locator("[role=status]").first).to_contain_text(said)
    assert page.evaluate("window.entry.isConnected")  # not made anew: that is what takes time
    page.evaluate(
        """() => {
            const isKey = k => /^hllm-live\\/[0-9a-f]+$/.test(k);
            const key = Object.keys(sessionStorage).find(isKey);
            const stored = JSON.parse(sessionStorage.getItem(key));
            stored.history.unshift({ id: "book-009", title: "", creator: "", cover: "" });
            stored.history.unshift({ id: "book-008", title: "", creator: "", cover: "" });
            sessionStorage.setItem(key, JSON.stringify(stored));
        }"""
    )
    page.reload()
    history_is(page, "book-001 book-002 book-003")
    expect(page.locator(".notices")).to_have_text(
        "Only the 3 most recent items count: 2 older ones left."
    )


def test_stored_filter_that_makes_no_sense_does_no_harm(open_page, url):
    page = open_page(url)
    page.locator("[data-id=book-001].card").click()
    history_is(page, "book-001")
    for stored, notice in (
        ('{"category": "<img src=x onerror=alert(1)>", "min_price": "5"}', "<img src=x"),
        ('{"category": ["Mystery"], "max_price": -1e999}', ""),
        ("7", ""),
    ):
        page.evaluate(
            """filter => {
                const isKey = k => /^hllm-live\\/[0-9a-f]+$/.test(k);
                const key = Object.keys(sessionStorage).find(isKey);
                const stored = JSON.parse(sessionStorage.getItem(key));
                stored.filter = JSON.parse(filter);
                sessionStorage.setItem(key, JSON.stringify(stored));
            }""",
            stored,
        )
        page.reload()
        history_is(page, "book-001")
        expect(page.locator(".hllm-column .rec")).to_have_count(10)
        expect(page.locator(".notices")).to_contain_text(notice)
        expect(page.get_by_label("Recommend from")).to_have_value("")
        assert page.get_by_label("Recommend from").locator("option").count() == 5


def test_hostile_categories_can_be_filtered_by(
    open_page, serve, new_service, new_hostile_items, hostile_titles, tmp_path
):
    page = open_page(serve(new_service(tmp_path / "c.db", new_hostile_items())))
    page.locator(".card").first.click()
    for title in hostile_titles[1:]:
        page.locator(".category").select_option(title)
        page.get_by_label("Recommend from").select_option(title)
        expect(page.locator(".hllm-column .rec-title")).to_have_text([title])
        expect(page.locator(".baseline-column .rec-title")).to_have_text([title])
    page.get_by_label("Recommend from").select_option(hostile_titles[0])
    expect(page.locator(".hllm-column")).to_contain_text(f"nothing in “{hostile_titles[0]}” that")
    assert page.locator("img[src=x]").count() == 0


def test_catalogue_without_categories_and_prices_has_no_filter(
    open_page, serve, new_service, tmp_path
):
    items = [CatalogItem(item_id=f"i{n}", title=f"Item {n}") for n in range(3)]
    page = open_page(serve(new_service(tmp_path / "c.db", items)))
    page.locator(".card").first.click()
    expect(page.locator(".hllm-column .rec")).to_have_count(2)
    expect(page.locator(".filter")).to_be_hidden()


def test_page_opens_while_a_model_loads(
    open_page, serve, new_service, new_items, fake_recommender, tmp_path
):
    gate = threading.Event()

    def load():
        gate.wait(30)
        return fake_recommender("HLLM", [f"book-{n:03d}" for n in range(40)])

    service = new_service(tmp_path / "c.db", new_items(40), load_hllm=load, loaded=False)
    thread = load_in_background(service.columns[::-1])
    page = open_page(serve(service))
    page.locator("[data-id=book-001].card").click()
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    expect(page.locator(".hllm-column .column-message")).to_contain_text("warming up")
    gate.set()
    thread.join(10)
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    expect(page.locator(".status")).to_have_text("10 recommendations updated")


def test_small_catalogues_say_what_is_missing(open_page, serve, new_service, new_items, tmp_path):
    page = open_page(serve(new_service(tmp_path / "one.db", new_items(1))))
    page.locator("[data-id=book-000].card").click()
    expect(page.locator(".hllm-column")).to_contain_text("Nothing is left to recommend")
    page = open_page(serve(new_service(tmp_path / "none.db", [])))
    expect(page.locator(".nothing")).to_contain_text("python -m app.ingest")
    expect(page.locator(".popular")).to_contain_text("This catalogue is empty")


LOADED = "images => images.every(i => i.complete && i.naturalWidth > 0)"


def test_picture_that_is_damaged_or_gone_is_the_drawn_cover(
    open_page, serve, new_service, new_items, tmp_path
):
    made = new_service(tmp_path / "c.db", new_items(6))
    for number, content in enumerate([None, b"damaged", b"\xff\xd8\xff\xe0 cut", b"gone"]):
        path = tmp_path / f"book-00{number}.jpg"
        if content is None:
            Image.new("RGB", (1600, 900), "red").save(path)
        else:
            path.write_bytes(content)
    service = Service(made.catalog, made.columns, covers=tmp_path)
    url = serve(service)
    page = open_page(url)
    pictures = page.locator(".card img, .pop img, .example img")
    wait_until(lambda: pictures.evaluate_all(LOADED))
    shapes = page.locator(".card img").evaluate_all("i => i.map(i => [i.src, i.naturalWidth])")
    assert [width == 400 for _, width in shapes] == [True] + [False] * 5
    assert not any(source.startswith("data:") for source, _ in shapes)
    (tmp_path / "book-003.jpg").unlink()  # while the page is open
    page.locator("[data-id=book-003].card").click()
    history_is(page, "book-003")
    wait_until(lambda: page.locator(".history img").evaluate_all(LOADED))
    page.route("**/covers**", lambda route: route.abort())  # pictures that do not arrive at all
    page.reload()
    page.wait_for_selector(".card img[src*='viewBox=']")
    wait_until(lambda: page.locator(".card img").evaluate_all(LOADED))
    assert all("ERR_FAILED" in problem for problem in open_page.problems)
    open_page.problems.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(open_page, url, scheme):
    page = open_page(url, color_scheme=scheme)
    page.locator("[data-id=book-001].card").click()
    history_is(page, "book-001")
    for selector in (
        ".brand p",
        ".card-by",
        ".rec-title",
        ".rec-by",
        ".elsewhere",
        ".does",
        ".model",
        ".from",
        ".filter-category",
        ".max-price",
    ):
        ratio = page.locator(selector).first.evaluate(CONTRAST)
        assert ratio >= 4.5, (selector, scheme, ratio)


CONTRAST = """element => {
    const channels = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b]
        .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const clear = (node) => channels(getComputedStyle(node).backgroundColor)[3] === 0;
    let ground = element;
    while (clear(ground)) ground = ground.parentElement;
    const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
        .map(c => light(channels(c)) + 0.05);
    return Math.max(a, b) / Math.min(a, b);
}"""


def test_app_or_catalogue_that_stops_is_said(open_page, serve, new_service, new_items, tmp_path):
    service = new_service(tmp_path / "c.db", new_items(5))
    page = open_page(serve(service))
    page.route("**/component_server**", lambda route: route.abort())
    page.locator(".search").fill("book")
    expect(page.locator(".browse-count")).to_contain_text("does not answer")
    page.unroute("**/component_server**")
    page.locator("[data-action=reload-browse]").click()
    expect(page.locator(".browse-count")).to_have_text("5 items")
    service.catalog.path.unlink()
    page.locator(".card").first.click()
    expect(page.locator(".status")).to_contain_text("cannot be read")
    assert all("ERR_FAILED" in problem for problem in open_page.problems)
    open_page.problems.clear()


def test_a_question_whose_connection_breaks_is_asked_once_more(
    open_page, serve, new_service, new_items, tmp_path
):
    """The first of each kind that is asked once the page is open is lost."""
    page = open_page(serve(new_service(tmp_path / "c.db", new_items(80))))
    expect(page.locator(".card")).to_have_count(48)
    lost = []

    def lose_first(route):
        name = route.request.post_data_json["fn_name"]
        if name in lost:
            return route.continue_()
        lost.append(name)
        return route.abort("connectionclosed")

    page.route("**/component_server**", lose_first)
    page.locator("[data-action=more]").click()
    expect(page.locator(".card")).to_have_count(80)
    expect(page.locator(".browse-count")).to_have_text("80 items")
    page.locator(".card").first.click()
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    page.locator(".hllm-column .info").first.click()
    expect(page.locator(".drawer .detail-head")).to_be_visible()
    assert {"browse", "answer", "detail"} <= set(lost)
    assert all("ERR_CONNECTION_CLOSED" in problem for problem in open_page.problems)
    open_page.problems.clear()
