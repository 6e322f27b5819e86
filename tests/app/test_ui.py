import json
import re
import socket
from html import escape

import gradio as gr
import pytest

from app.catalog import CatalogItem
from app.settings import Settings
from app.ui import (
    answer_payload,
    browse_payload,
    build_demo,
    column_payload,
    launch,
    launch_options,
    recommend_payload,
    search_payload,
    shell,
)
from hllm.errors import HLLMError

SESSION = "0123456789abcdef"


def ask(service, history, version=1, **item_filter):
    request = {"version": version, "history": history, "session": SESSION, "filter": item_filter}
    return answer_payload(service, request)


def test_answer_carries_version_history_and_both_columns(service):
    answer = ask(service, ["book-003", "book-001"], version=7)
    assert answer["version"] == 7
    assert [item["id"] for item in answer["history"]] == ["book-003", "book-001"]
    assert answer["history"][0]["title"] == "Book number 3"
    assert answer["columns"].keys() == {"hllm", "baseline"}
    assert all(html.count('class="rec item"') == 10 for html in answer["columns"].values())
    assert answer["start"] is None
    assert answer["live"] == "10 recommendations updated"
    assert "of 10 in both lists" in answer["agreement"]
    json.dumps(answer)


def test_empty_history_answers_with_popular_items_and_examples(service):
    answer = ask(service, [])
    assert "Popular in this catalogue" in answer["start"]
    assert answer["columns"] == {} and answer["live"] == "Nothing clicked yet"
    assert [len(example["items"]) for example in answer["examples"]] == [4, 4, 4, 4]


@pytest.mark.parametrize(
    "raw", [None, [], "x", {"history": {"a": 1}, "version": "9"}, {"history": [None] * 99}]
)
def test_any_request_gets_an_answer(service, raw):
    answer = answer_payload(service, raw)
    assert answer["version"] == 0 and answer["start"]


def test_filtered_answer_counts_what_was_ranked_and_what_both_found(service):
    answer = ask(service, ["book-001"], category="Mystery", max_price=10)
    assert answer["filter"] == {"category": "Mystery", "min_price": None, "max_price": 10.0}
    for html in answer["columns"].values():
        assert sorted(re.findall(r'data-id="([^"]+)', html)) == ["book-002", "book-006", "book-010"]
        assert "<b>3 items</b>" in html
    assert answer["agreement"] == "3 of 3 in both lists"
    assert answer["live"] == "3 recommendations updated"


def test_nothing_left_by_the_filter_says_so_with_a_way_on(service):
    chosen = ask(service, ["book-002", "book-006"], category="Mystery", max_price=6)
    none = ask(service, ["book-002"], min_price=10**6)
    for answer, sentence in (
        (chosen, "nothing in “Mystery” at a price up to 6 that you have not chosen."),
        (none, "There is nothing at a price from 1,000,000."),
    ):
        assert answer["live"] == "No recommendations" and answer["agreement"] == ""
        for html in answer["columns"].values():
            assert sentence in html and 'data-action="everything"' in html


def test_category_that_is_gone_is_said_and_everything_recommended(service):
    answer = ask(service, ["book-001"], category="${alert(1)}", min_price="x")
    assert answer["filter"] == {"category": "", "min_price": None, "max_price": None}
    assert answer["notices"] == [
        "The category “${alert(1)}” is not in this catalogue and left the filter."
    ]
    assert answer["live"] == "10 recommendations updated"


def test_hostile_category_is_text_where_nothing_is_left(tmp_path, new_service, new_hostile_items):
    items = new_hostile_items()
    service = new_service(tmp_path / "c.db", items)
    for item in items:
        answer = ask(service, [item.item_id], category=item.categories[0])
        assert answer["filter"]["category"] == item.categories[0]
        html = answer["columns"]["hllm"]
        assert html.count(escape(item.categories[0])) == 1 and "<img" not in html


def test_catalogue_that_disappears_is_said(service):
    service.catalog.path.unlink()
    answer = ask(service, ["book-001"], version=3)
    assert answer["version"] == 3 and "cannot be read" in answer["error"]


def test_browse_payload(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(60))
    first = browse_payload(service, {})
    assert first["html"].count("<li>") == 48 and first["count"] == "60 items"
    second = browse_payload(service, {"cursor": first["cursor"]})
    assert second["html"].count("<li>") == 12 and second["cursor"] is None
    nothing = browse_payload(service, {"text": "zzzz"})
    assert "Nothing found" in nothing["html"] and nothing["count"] == "No items"
    service.catalog.path.unlink()
    assert "cannot be read" in browse_payload(service, {})["count"]


def test_recommend_endpoint(service):
    answer = recommend_payload(service, ["book-001", "gone"], 3)
    assert answer["history"] == ["book-001"]
    assert "not in this catalogue" in answer["notices"][0]
    for model in answer["models"]:
        assert [item["rank"] for item in model["items"]] == [1, 2, 3]
        assert model["num_candidates"] == 40
        assert all(item["title"].startswith("Book number") for item in model["items"])


def test_recommend_endpoint_shows_all_that_was_asked_for(service):
    models = recommend_payload(service, ["book-001"], 39)["models"]
    assert [len(model["items"]) for model in models] == [39, 39]


def test_recommend_endpoint_with_a_filter(service):
    models = recommend_payload(service, ["book-001"], 10, "Mystery", 5, 20)["models"]
    for model in models:
        assert {i["item_id"] for i in model["items"]} == {"book-006", "book-010", "book-018"}
        assert model["num_candidates"] == 3
    assert recommend_payload(service, ["book-001"], 3, "", None, 0)["models"][0]["items"]


@pytest.mark.parametrize(
    ("item_filter", "message"),
    [
        (("Nowhere", None, None), "There is no category 'Nowhere' in this catalogue"),
        (("", -1, None), "min_price must be a number"),
        (("", 9, 1), "must not be more than"),
    ],
)
def test_recommend_endpoint_refuses_a_senseless_filter(service, item_filter, message):
    with pytest.raises(gr.Error, match=message):
        recommend_payload(service, ["book-001"], 10, *item_filter)


def test_endpoint_says_when_the_catalogue_is_gone(service):
    service.catalog.path.unlink()
    with pytest.raises(gr.Error, match="cannot be read"):
        recommend_payload(service, ["book-001"], 10)


@pytest.mark.parametrize(
    ("history", "top_k", "message"),
    [
        (["book-001"], 0, "from 1 to 100"),
        ([], 10, "at least one item_id"),
        (["gone"], 5, "at least one"),
    ],
)
def test_recommend_endpoint_refuses_with_a_reason(service, history, top_k, message):
    with pytest.raises(gr.Error, match=message):
        recommend_payload(service, history, top_k)


def test_failed_model_is_said_in_the_endpoint(service):
    answer = service.answer(["book-001"], SESSION)
    failed = type(answer.columns[0])(answer.columns[0].info, None)
    assert column_payload(failed, answer, 5)["items"] == []


def test_search_endpoint(service):
    found = search_payload(service, "number 7", "", "popularity", "")
    assert found["items"][0]["item_id"] == "book-007"
    assert search_payload(service, "", "Mystery", "title", "")["total"] == 10
    with pytest.raises(gr.Error, match="sort must be one of"):
        search_payload(service, "", "", "nonsense", "")


def test_shell_names_the_catalogue_and_its_history_has_a_key_of_its_own(
    tmp_path, new_service, new_items
):
    one = shell(new_service(tmp_path / "1.db", new_items(2), name="One & <only>"))
    two = shell(new_service(tmp_path / "2.db", new_items(2), name="Two"))
    assert "One &amp; &lt;only&gt;" in one
    assert one.split('data-catalog="')[1][:12] != two.split('data-catalog="')[1][:12]


def test_filter_offers_what_the_catalogue_has(tmp_path, new_service, new_items):
    priced = shell(new_service(tmp_path / "1.db", new_items(8)))
    assert 'class="prices" title' in priced.replace("  ", " ")
    assert 'placeholder="0"' in priced and 'placeholder="7"' in priced
    bare = shell(new_service(tmp_path / "2.db", [CatalogItem(item_id="a")]))
    assert 'class="from" hidden' in bare and 'class="prices" hidden' in bare


def test_template_of_the_page_holds_no_text_of_the_catalogue(service):
    """A gr.HTML template is run as code; what comes from data must be a value in it."""
    page = next(b for b in build_demo(service).blocks.values() if isinstance(b, gr.HTML))
    assert page.html_template == "${shell}"


def test_models_share_one_queue_and_browsing_is_off_it(service):
    demo = build_demo(service)
    fns = {fn.api_name: fn for fn in demo.fns.values()}
    assert fns["recommend"].concurrency_id == fns["recompute"].concurrency_id == "model"
    assert fns["recompute"].trigger_mode == "always_last"
    assert fns["search"].queue is False
    assert demo.max_size == 64 if hasattr(demo, "max_size") else demo._queue.max_size == 64


def test_launch_is_local_and_keeps_no_run_history(service):
    options = launch_options(build_demo(service), service, Settings())
    assert options["server_name"] is None
    assert options["share"] is False and options["run_history"] is False
    assert options["ssr_mode"] is False
    assert options["num_workers"] == 0 and options["mcp_server"] is False
    assert "allowed_paths" not in options


def test_port_in_use_is_said_with_a_way_on(service):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HLLMError, match=f"port {port}: it is in use .* --port"):
            launch(build_demo(service), service, Settings(port=port, host="127.0.0.1"))
