"""The page in a real browser: Debian's chromium through playwright."""

import re
import shutil
import time

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]
DESKTOP, PHONE = (1440, 900), (375, 812)
LIMIT_MS = 20_000  # a guard; pages answer in far less


class SlowRecommender:
    """Takes as long as a large model does, so that fast clicks overtake it."""

    def __init__(self, recommender, seconds):
        self._recommender, self._seconds = recommender, seconds
        self.model, self.precision, self.device = "slow", "fp32", "cpu"
        self.stages = recommender.stages
        self.num_items, self.item_ids = recommender.num_items, recommender.item_ids
        self.text_keys = recommender.text_keys
        self.calls = recommender.calls

    def recommend(self, history, **options):
        time.sleep(self._seconds)
        return self._recommender.recommend(history, **options)


@pytest.fixture(scope="module")
def url(serve, new_service, new_items, tmp_path_factory):
    return serve(new_service(tmp_path_factory.mktemp("books") / "c.db", new_items(100)))


def history_is(page, *item_ids):
    expect(page.locator(".hllm")).to_have_attribute(
        "data-history", " ".join(item_ids), timeout=LIMIT_MS
    )
    expect(page.locator(".answers")).to_have_attribute("aria-busy", "false", timeout=LIMIT_MS)
    strip = page.locator(".history li").evaluate_all("items => items.map(i => i.dataset.id)")
    assert strip == list(item_ids)


def card(page, item_id):
    return page.locator(f'.card[data-id="{item_id}"]')


def lists(page):
    return [
        page.locator(f".{key}-column .rec").evaluate_all("rows => rows.map(r => r.dataset.id)")
        for key in ("hllm", "baseline")
    ]


def press(page, row):
    """Press Enter on a row, once it takes it: one that has just changed does not."""
    page.wait_for_selector(".settling", state="detached")
    row.press("Enter")


def show(page, tab):
    if page.locator(".tabs").is_visible():
        page.locator(f".tabs [data-tab={tab}]").click()


@pytest.mark.parametrize(
    "size",
    [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone", marks=pytest.mark.slow)],
)
def test_visit(open_page, url, size):
    page = open_page(url, size)
    expect(page.locator(".strip-title")).to_contain_text("Example: ")
    page.locator("[data-action=own]").click()
    show(page, "hllm")
    expect(page.locator(".popular")).to_contain_text("Popular in this catalogue")
    show(page, "browse")
    page.locator(".search").fill("number 17")
    expect(page.locator(".card")).to_have_count(1)
    page.locator(".card").click()
    history_is(page, "book-017")
    first = lists(page)
    assert [len(ids) for ids in first] == [10, 10]
    page.locator(".search").fill("")
    expect(page.locator(".card")).to_have_count(48)
    card(page, "book-003").click()
    history_is(page, "book-017", "book-003")
    second = lists(page)
    card(page, "book-005").click()
    history_is(page, "book-017", "book-003", "book-005")
    third = lists(page)
    for column in (0, 1):
        assert first[column] != second[column] != third[column]
    for key in ("hllm", "baseline"):
        show(page, key)
        row = page.locator(f".{key}-column .rec").first
        expect(row).to_be_visible()
        expect(row.locator(".rec-title")).to_contain_text("Book number")
        expect(row.locator(".elsewhere")).to_contain_text("in ")
        expect(page.locator(f".{key}-column .facts")).to_contain_text("100 items")
    page.locator("[data-action=undo]").click()
    history_is(page, "book-017", "book-003")
    assert lists(page) == second
    page.locator("[data-action=redo]").click()
    history_is(page, "book-017", "book-003", "book-005")
    page.reload()
    history_is(page, "book-017", "book-003", "book-005")
    assert lists(page) == third
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_a_stranger_sees_an_example_that_never_becomes_the_own_history(open_page, url):
    page = open_page(url)
    expect(page.locator(".strip-title")).to_have_text("Example: Fantasy")
    example = page.locator(".history li").evaluate_all("items => items.map(i => i.dataset.id)")
    assert len(example) == 4
    assert [len(ids) for ids in lists(page)] == [10, 10]
    page.locator("[data-dismiss=pick]").click()
    page.locator(".history-face").first.press("Delete")
    page.keyboard.press("Control+z")
    page.reload()
    expect(page.locator(".strip-title")).to_have_text("Example: Fantasy")
    expect(page.locator("[data-caption=pick]")).to_be_hidden()
    expect(page.locator("[data-caption=move]")).to_be_visible()
    card(page, example[1]).click()
    history_is(page, example[1])
    expect(page.locator(".strip-title")).to_have_text("Your history")
    expect(page.locator(".move:not(:empty)")).to_have_count(0)
    page.locator("[data-action=undo]").click()
    history_is(page)
    page.reload()
    history_is(page)  # cleared, and still the visitor's own
    expect(page.locator(".popular")).to_be_visible()


@pytest.mark.slow
def test_the_drawer_tells_what_the_models_know_of_an_item(open_page, url):
    page = open_page(url)
    for number in (1, 2, 3):
        card(page, f"book-00{number}").click()
    history_is(page, "book-001", "book-002", "book-003")
    row = page.locator(".hllm-column .rec").nth(2)
    title = row.locator(".rec-title").text_content()
    row.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name=title)
    expect(drawer).to_contain_text("#3 of 97")
    expect(drawer).to_contain_text(f"title: {title}")
    expect(drawer.locator(".changes tbody tr")).to_have_count(3)
    assert page.locator(".push").evaluate_all("all => all.some(p => p.offsetWidth > 30)")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator(".hllm-column .info").nth(2)).to_be_focused()
    assert page.locator(".push").evaluate_all("all => all.every(p => p.hidden)")
    history_is(page, "book-001", "book-002", "book-003")


@pytest.mark.slow
def test_recommendation_joins_the_history_and_moves_are_marked(open_page, url):
    page = open_page(url)
    card(page, "book-001").click()
    history_is(page, "book-001")
    expect(page.locator(".move:not(:empty)")).to_have_count(0)
    clicked = lists(page)[1][4]
    page.locator(".baseline-column .rec").nth(4).click()
    history_is(page, "book-001", clicked)
    assert clicked not in lists(page)[0] + lists(page)[1]
    expect(page.locator(".move:not(:empty)").first).to_be_visible()
    expect(page.locator(".status")).to_contain_text("recommendations updated")


@pytest.mark.slow
def test_twelve_clicks_in_a_second_are_kept_in_order(
    open_page, serve, new_service, new_items, fake_recommender, tmp_path
):
    fake = fake_recommender("HLLM", [f"book-{n:03d}" for n in range(40)])
    slow = SlowRecommender(fake, 0.15)
    url = serve(new_service(tmp_path / "c.db", new_items(40), load_hllm=lambda: slow))
    page = open_page(url)
    page.evaluate(
        """async () => {
            const cards = [...document.querySelectorAll(".card")].slice(0, 12);
            for (const card of cards) { card.click(); await new Promise(r => setTimeout(r, 80)); }
        }"""
    )
    wanted = [f"book-{n:03d}" for n in range(12)]
    history_is(page, *wanted)
    assert fake.calls[-1] == tuple(wanted)
    assert len(fake.calls) < 12  # later clicks replaced waiting ones, instead of queueing up


@pytest.mark.slow
def test_page_keeps_as_many_items_as_the_server_says(
    open_page, serve, new_service, new_items, tmp_path, monkeypatch
):
    monkeypatch.setattr("app.render.MAX_HISTORY", 3)
    page = open_page(serve(new_service(tmp_path / "c.db", new_items(10))))
    for number in range(5):
        card(page, f"book-{number:03d}").click()
    history_is(page, "book-002", "book-003", "book-004")


@pytest.mark.slow
def test_visitors_never_see_each_other(open_page, url):
    one, two = open_page(url), open_page(url)
    card(one, "book-001").click()
    card(two, "book-002").click()
    history_is(one, "book-001")
    history_is(two, "book-002")
    two.reload()
    history_is(two, "book-002")
    three = open_page(url)
    expect(three.locator(".hllm")).to_have_attribute("data-example", re.compile("."))


@pytest.mark.slow
def test_keyboard_alone_is_enough(open_page, url):
    page = open_page(url)
    page.keyboard.press("/")
    page.keyboard.type("number 42")
    expect(page.locator(".card")).to_have_count(1)
    press(page, card(page, "book-042"))
    history_is(page, "book-042")
    added = lists(page)[0][0]
    press(page, page.locator(".hllm-column .rec").first)
    history_is(page, "book-042", added)
    expect(page.locator(".hllm-column .rec").first).to_be_focused()
    page.locator(".history-face").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    history_is(page, added, "book-042")
    expect(page.locator(".history-face").nth(1)).to_be_focused()
    page.keyboard.press("Delete")
    history_is(page, added)
    page.keyboard.press("Control+z")
    history_is(page, added, "book-042")
    page.keyboard.press("Control+Shift+z")
    history_is(page, added)


@pytest.mark.slow
def test_history_by_drag_and_by_buttons(open_page, url):
    page = open_page(url)
    for item_id in ("book-001", "book-002", "book-003"):
        card(page, item_id).click()
    history_is(page, "book-001", "book-002", "book-003")
    entries = page.locator(".history li")
    entries.nth(2).drag_to(entries.nth(0))
    history_is(page, "book-003", "book-001", "book-002")
    page.locator("[data-action=clear]").click()
    history_is(page)
    page.locator("[data-action=undo]").click()
    history_is(page, "book-003", "book-001", "book-002")


@pytest.mark.slow
def test_history_on_a_phone_by_touch(open_page, url):
    page = open_page(url, PHONE)
    for item_id in ("book-001", "book-002"):
        card(page, item_id).tap()
    history_is(page, "book-001", "book-002")
    page.locator(".history-face").nth(1).tap()
    page.locator(".history li").nth(1).locator("[data-tool=earlier]").tap()
    history_is(page, "book-002", "book-001")
    page.wait_for_selector(".settling", state="detached")
    page.locator(".history li").nth(0).locator("[data-tool=remove]").tap()
    history_is(page, "book-001")


@pytest.mark.slow
def test_clicking_twice_is_said_and_not_counted_twice(open_page, url):
    page = open_page(url)
    card(page, "book-001").click()
    history_is(page, "book-001")
    card(page, "book-001").click()
    expect(page.locator(".status")).to_contain_text("already number 1")
    history_is(page, "book-001")


@pytest.mark.slow
def test_examples_filters_and_more(open_page, url):
    page = open_page(url)
    page.locator("[data-action=own]").click()
    expect(page.locator(".example")).to_have_count(4)
    page.locator(".example").first.click()
    expect(page.locator(".history li")).to_have_count(4)
    expect(page.locator(".hllm-column .rec")).to_have_count(10)
    expect(page.locator(".card")).to_have_count(48)
    page.locator("[data-action=more]").click()
    expect(page.locator(".card")).to_have_count(96)
    page.locator("[data-action=more]").click()
    expect(page.locator(".card")).to_have_count(100)
    expect(page.locator("[data-action=more]")).to_be_hidden()
    page.locator(".category").select_option("Mystery")
    expect(page.locator(".browse-count")).to_have_text("25 items")
    page.locator(".sort").select_option("newest")
    expect(page.locator(".card-title").first).to_have_text("Book number 98")
    page.locator(".search").fill("qqqq")
    expect(page.locator(".nothing")).to_contain_text("Nothing found")
    page.locator("[data-action=reset-search]").click()
    expect(page.locator(".browse-count")).to_have_text("100 items")


def facts(page, key="hllm"):
    return page.locator(f".{key}-column .facts")


def choose(page, category):
    page.get_by_label("Recommend from").select_option(category)


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_recommendations_of_a_category_and_of_prices(open_page, url, size):
    page = open_page(url, size)
    page.locator("[data-action=own]").click()
    expect(page.locator(".filter")).to_be_hidden()  # there is nothing to filter yet
    card(page, "book-001").click()
    history_is(page, "book-001")
    show(page, "hllm")
    choose(page, "Mystery")
    for key in ("hllm", "baseline"):
        expect(facts(page, key)).to_contain_text("25 items")
    expect(page.locator(".move:not(:empty)")).to_have_count(0)
    filtered = lists(page)
    assert {int(item_id[5:]) % 4 for ids in filtered for item_id in ids} == {2}
    page.reload()
    history_is(page, "book-001")
    assert lists(page) == filtered
    show(page, "baseline")
    expect(page.get_by_label("Recommend from")).to_have_value("Mystery")
    page.get_by_label("Highest price").fill("6")
    page.get_by_label("Highest price").press("Enter")
    expect(facts(page)).to_contain_text("2 items")
    expect(page.locator(".agreement")).to_have_text("2 of 2 in both lists")
    page.get_by_label("Lowest price").fill("50")
    page.get_by_label("Lowest price").press("Tab")
    expect(page.locator(".status")).to_contain_text("The lowest price, 50, is above the highest, 6")
    expect(facts(page)).to_contain_text("2 items")
    page.get_by_label("Lowest price").fill("6")
    page.get_by_label("Highest price").fill("50")
    page.get_by_label("Highest price").press("Tab")
    expect(facts(page)).to_contain_text("10 items")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.slow
def test_nothing_left_by_a_filter_has_a_way_on(open_page, url):
    page = open_page(url)
    card(page, "book-002").click()
    history_is(page, "book-002")
    choose(page, "Mystery")
    page.get_by_label("Highest price").fill("5")
    page.keyboard.press("Enter")
    for key in ("hllm", "baseline"):
        expect(page.locator(f".{key}-column")).to_contain_text(
            "There is nothing in “Mystery” at a price up to 5 that you have not chosen."
        )
    expect(page.locator(".status")).to_have_text("No recommendations")
    page.locator(".baseline-column").get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".baseline-column .rec")).to_have_count(10)
    expect(page.get_by_label("Recommend from")).to_be_focused()
    expect(page.get_by_label("Recommend from")).to_have_value("")
    expect(page.get_by_label("Highest price")).to_have_value("")


@pytest.mark.slow
def test_category_that_is_browsed_is_offered_first_and_stays_chosen(open_page, url):
    page = open_page(url)
    card(page, "book-001").click()
    history_is(page, "book-001")
    options = page.get_by_label("Recommend from").locator("option")
    everything = options.count()
    page.locator(".category").select_option("History")
    expect(options.nth(1)).to_have_text("History")
    choose(page, "History")
    expect(facts(page)).to_contain_text("25 items")
    page.locator(".category").select_option("Fantasy")
    expect(options.nth(1)).to_have_text("Fantasy")
    expect(page.get_by_label("Recommend from")).to_have_value("History")
    expect(page.locator(".browse-count")).to_have_text("25 items")
    card(page, "book-004").click()
    history_is(page, "book-001", "book-004")
    assert {int(item_id[5:]) % 4 for ids in lists(page) for item_id in ids} == {3}
    expect(page.locator(".move:not(:empty)").first).to_be_visible()
    page.locator(".category").select_option("")
    expect(options).to_have_count(everything)


@pytest.mark.slow
def test_a_visitor_deletes_what_was_recorded_also_before_a_reload(
    serve, new_service, new_items, tmp_path, open_page, events_of
):
    service = new_service(tmp_path / "c.db", new_items(30))
    page = open_page(serve(service))
    card(page, "book-001").click()
    history_is(page, "book-001")
    page.reload()
    history_is(page, "book-001")
    service.events.add("f" * 16, "clicked", "browse", ["book-002"])  # another visitor's
    assert len({session for *_, session in events_of(service)}) == 3
    page.locator("[data-action=forget]").click()
    expect(page.locator(".forgotten")).to_contain_text("of this browser deleted", timeout=LIMIT_MS)
    expect(page.locator(".forgotten")).to_be_in_viewport()
    assert [session for *_, session in events_of(service)] == ["f" * 16]
