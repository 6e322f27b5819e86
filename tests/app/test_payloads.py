import json
import re
import types
import typing
from html import escape

import pytest

from app import contract, contract_picks
from app.blind import BlindTest
from app.catalog import ItemFilter
from app.contract import (
    AnswerRequest,
    BrowseQuery,
    ClickPayload,
    DetailQuery,
    FilterPayload,
    PushesQuery,
    WhatIfPayload,
    WholeQuery,
)
from app.contract_picks import BlindPickRequest, PickRequest
from app.detail import Details
from app.payloads import (
    answer_payload,
    blind_payload,
    browse_payload,
    detail_payload,
    forget_payload,
    pushes_payload,
    record_payload,
    reveal_payload,
    scores_payload,
    verdict_payload,
    whole_payload,
    why_payload,
)
from app.scoreboard import Scoreboard
from app.session import (
    Click,
    WhatIf,
    clean_browse,
    clean_click,
    clean_detail,
    clean_filter,
    clean_what_if,
    is_blind,
)

SESSION = "0123456789abcdef"


def ask(service, history, version=1, example=False, **item_filter):
    request = {"version": version, "history": history, "session": SESSION, "filter": item_filter}
    return answer_payload(service, {**request, "example": example})


@pytest.mark.parametrize(
    ("asked", "brought"),
    [
        (["book-003", "book-001"], None),
        (["book-003", "no-such", "book-001"], ["book-003", "book-001"]),
        (["book-001", "book-003", "book-001"], ["book-003", "book-001"]),
    ],
)
def test_answer_brings_no_items_that_the_page_has(service, asked, brought):
    request = {"version": 1, "history": asked, "session": SESSION, "filter": {}}
    whole = answer_payload(service, request)
    short = answer_payload(service, {**request, "known": True})
    assert whole["history"] is not None
    history = short["history"]
    assert brought == (history and [item["id"] for item in history])
    assert short["columns"] == whole["columns"] and short["notices"] == whole["notices"]


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


def test_the_example_stands_in_for_an_empty_history_only(service, tmp_path, new_service, new_items):
    shown = ask(service, [], example=True)
    example = service.examples[0]
    assert shown["example"] == example.name and shown["start"] is None
    assert [i["id"] for i in shown["history"]] == [card.item_id for card in example.cards]
    assert shown["columns"] == ask(service, [i["id"] for i in shown["history"]])["columns"]
    assert shown["live"] == "Recommended for the example"
    own = ask(service, ["book-001"], example=True)
    assert own["example"] == "" and [item["id"] for item in own["history"]] == ["book-001"]
    without = new_service(tmp_path / "few.db", new_items(1))  # no category has two items
    assert ask(without, [], example=True)["start"] and not without.examples


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


def test_a_visitor_deletes_what_was_recorded_of_this_browser(service, events_of):
    tabs = ["0" * 32, "1" * 32, "2" * 32]
    for tab in tabs:
        service.record_click(Click("book-001", "browse", tab))
    wanted = {"sessions": [tabs[0], 5, tabs[1], "'; DROP TABLE events"]}
    assert forget_payload(service, wanted) == {"message": "2 entries of this browser deleted."}
    assert [row[-1] for row in events_of(service)] == [tabs[2]]
    for strange in (None, [], {"sessions": "x"}, {"sessions": {"a": 1}}):
        assert forget_payload(service, strange)["message"].startswith("0 entries")


def test_forgetting_is_of_all_catalogues(service, tmp_path, new_service, new_items, beside):
    other = new_service(tmp_path / "other.db", new_items(12), name="Other")
    first = beside(books=service, games=other)
    for one in (service, other):
        one.answer(["book-001"], SESSION)
    told = forget_payload(first, {"sessions": [SESSION]})
    assert told == {"message": "4 entries of this browser deleted."}


def test_detail_and_why_payload(service):
    details = Details(service)
    query = {"item": "book-007", "history": ["book-001", "book-002"]}
    found = detail_payload(details, query)
    assert_is(found, contract.DetailPayload)
    assert found["title"] == "Book number 7" and found["explains"] == "now"
    assert "What happens in book 7." in found["html"] and " of 38" in found["html"]
    why = why_payload(details, query)
    assert_is(why, contract.WhyPayload)
    assert why["changes"].keys() == {"book-001", "book-002"}
    assert max(map(abs, why["changes"].values())) == 1
    for raw in (None, {}, {"item": "no such"}):
        assert detail_payload(details, raw)["title"] == "Not found"
        assert why_payload(details, raw) == {"html": "", "changes": {}}
    service.catalog.path.unlink()
    assert "cannot be read" in detail_payload(details, query)["html"]
    assert "cannot be read" in why_payload(details, query)["html"]


def test_what_is_asked_beside_clicks_is_answered_whatever_is_sent(service):
    details, history = Details(service), ["book-001", "book-002"]
    query: WholeQuery = {"history": history}
    whole = whole_payload(details, query)
    assert_is(whole, contract.WholePayload)
    assert (whole["num_read"], whole["encode_ms"], whole["message"]) == (2, 3.5, "")
    rows: PushesQuery = {"history": history, "rows": {"hllm": ["book-007"], "baseline": []}}
    pushes = pushes_payload(details, rows)
    assert_is(pushes, contract.PushesPayload)
    assert pushes["pushes"].keys() <= {"hllm"}
    for raw in (None, [], {}, {"history": 5, "rows": 7}, {"history": history, "rows": {"hllm": 1}}):
        assert pushes_payload(details, raw) == {"pushes": {}}
    for raw in (None, [], {}):
        assert "no User LLM" in whole_payload(details, raw)["message"]
    service.catalog.path.unlink()
    assert "cannot be read" in whole_payload(details, query)["message"]
    assert pushes_payload(details, rows) == {"pushes": {}}


def test_a_pick_is_judged_and_counted(service):
    board = Scoreboard(service)
    pick: PickRequest = {"item": "book-007", "history": ["book-001"], "session": SESSION}
    verdict = verdict_payload(board, pick)
    assert_is(verdict, contract_picks.VerdictPayload)
    assert verdict["title"] == "Book number 7" and verdict["num_ranked"]["hllm"] == 39
    scores = scores_payload(board)
    assert_is(scores, contract_picks.ScoresPayload)
    assert (scores["picks"], scores["visits"]) == (1, 1)
    for raw in (None, [], {}, {"item": "book-001", "history": ["book-001"]}):
        assert verdict_payload(board, raw) is None
    assert scores_payload(board)["picks"] == 1
    service.catalog.path.unlink()
    assert verdict_payload(board, pick) is None


def test_payloads_are_as_their_types_say(service):
    start, lists = ask(service, []), ask(service, ["book-001"])
    for payload in (start, lists):
        assert_is(payload, contract.AnswerPayload)
    assert start["start"] and start["examples"] and lists["columns"]
    for query in ({}, {"text": "zzzz"}):
        assert_is(browse_payload(service, query), contract.BrowsePayload)
    assert lists["how"]["num_read"] == 1 and lists["how"]["num_known"] == 0
    assert start["how"] is None
    service.catalog.path.unlink()
    assert_is(ask(service, ["book-001"]), contract.ErrorPayload)
    assert_is(browse_payload(service, {}), contract.BrowsePayload)


def assert_is(value, kind):
    """A value has the type that an annotation says, all the way down."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind)
        assert list(value) == list(hints)
        for key, hint in hints.items():
            assert_is(value[key], hint)
    elif origin is types.UnionType:
        if value is not None or type(None) not in arguments:
            *kinds, last = [kind for kind in arguments if kind is not type(None)]
            assert not kinds, "a value or None"
            assert_is(value, last)
    elif origin is list:
        for element in value:
            assert_is(element, arguments[0])
    elif origin is dict:
        for key, element in value.items():
            assert_is(key, arguments[0])
            assert_is(element, arguments[1])
    else:
        assert isinstance(value, kind)


def test_everything_that_a_page_sends_is_read(service):
    """A name in a request that the server does not know would be left out without a word."""
    item_filter = {"category": "Mystery", "min_price": 5, "max_price": 20}
    query = {"text": "7", "category": "Mystery", "sort": "title", "cursor": "c"}
    question = {"item": "a", "history": ["b"], "blind": True}
    click = {"item_id": "a", "source": "hllm", "rank": 3, "session": SESSION, "key": "f" * 32}
    what_if = {"diversity": 0.5, "less_popular": 0.5}
    for sent, kind, read in (
        (item_filter, FilterPayload, lambda raw: clean_filter(raw, lambda _: True)),
        (query, BrowseQuery, clean_browse),
        (question, DetailQuery, lambda raw: (clean_detail(raw), is_blind(raw))),
        (click, ClickPayload, clean_click),
        (what_if, WhatIfPayload, lambda raw: clean_what_if(raw, True)),
    ):
        # `models` is read by Service.seen_with.
        assert sent.keys() == kind.__annotations__.keys() - {"models"}
        for key in sent:
            assert read(sent) != read({k: v for k, v in sent.items() if k != key}), key


def test_every_part_of_a_question_counts(service, monkeypatch):
    asked = []
    answer = service.answer
    monkeypatch.setattr(
        service,
        "answer",
        lambda history, session, item_filter, with_example, blind_seed, what_if, question: (
            asked.append(
                (history, session, item_filter, with_example, blind_seed, what_if, question)
            )
            or answer(history, session, item_filter=item_filter)
        ),
    )
    request: AnswerRequest = {
        "version": 4,
        "history": ["book-001"],
        "filter": {"category": "Mystery", "min_price": None, "max_price": None},
        "session": SESSION,
        "example": True,
        "blind": "5eed" * 8,
        "what_if": {"diversity": 0.5, "less_popular": 0},
        "models": None,  # read by Service.seen_with
        "known": False,
    }
    assert request.keys() == AnswerRequest.__annotations__.keys()
    assert answer_payload(service, request)["version"] == 4
    mystery = ItemFilter(category="Mystery")
    assert asked == [(["book-001"], SESSION, mystery, True, "5eed" * 8, WhatIf(0.5, 0.0), "4")]


SEED = "5eed" * 8


def test_in_a_blind_test_an_answer_has_one_list_and_nothing_that_tells_whose_it_is(service):
    request = {"version": 2, "history": ["book-001"], "session": SESSION, "blind": SEED}
    answer = answer_payload(service, request)
    assert_is(answer, contract.AnswerPayload)
    assert answer["columns"].keys() == {"blind"}
    assert answer["columns"]["blind"].count('class="rec item"') == 10
    assert (answer["agreement"], answer["how"]) == ("", None)
    assert answer["live"] == "10 recommendations, drafted by both models in turn"
    told = json.dumps({**answer, "columns": answer["columns"]["blind"]}).lower()
    assert "hllm" not in told and "baseline" not in told
    assert answer_payload(service, request) == answer  # the list is stable
    empty = answer_payload(service, {**request, "history": []})
    assert empty["columns"] == {} and empty["start"]


def test_every_part_of_a_blind_pick_counts(service):
    item_filter = {"category": "Mystery", "min_price": 0, "max_price": 30}
    history = ["book-001", "book-002"]
    cleaned, _ = clean_filter(item_filter, lambda _: True)
    drafts = service.answer(history, SESSION, item_filter=cleaned, blind_seed=SEED).blind.drafts
    pick: BlindPickRequest = {
        "seed": SEED, "history": history, "filter": item_filter, "item": drafts[1].item_id,
        "position": 2, "withdrawn": False, "session": SESSION,
    }  # fmt: skip
    assert pick.keys() == BlindPickRequest.__annotations__.keys()
    test = BlindTest(service)
    found = blind_payload(test, pick)
    assert_is(found, contract_picks.BlindPickPayload)
    team = ["hllm", "baseline"][drafts[1].team]
    assert found == {"team": team, "message": "", "is_stored": True}
    for key in ("seed", "history", "filter", "item", "position"):
        other = blind_payload(test, {k: v for k, v in pick.items() if k != key})
        assert other["team"] == "" and "does not count" in other["message"], key
    assert service.events.forget([SESSION]) == 2  # what was shown, and the pick
    for raw in (None, [], "x", {}, {**pick, "position": "2"}):
        assert blind_payload(test, raw)["team"] == ""
    revealed = reveal_payload(test, {"wins": {"hllm": 3, "baseline": 7}})
    assert_is(revealed, contract_picks.RevealPayload)
    assert revealed["result"] == "Baseline won 7 to 3 against HLLM."
    service.catalog.path.unlink()
    assert "cannot be read" in blind_payload(test, pick)["message"]


def test_the_drawer_keeps_a_blind_test_blind(service):
    question = {"item": "book-007", "history": ["book-001", "book-002"]}
    shown = detail_payload(Details(service), {**question, "blind": True})
    assert shown["explains"] == "no" and "HLLM" not in shown["html"]
    assert "HLLM" in detail_payload(Details(service), {**question, "blind": False})["html"]


def test_a_what_if_says_what_it_costs_and_what_was_not_understood(service):
    request = {"version": 1, "history": ["book-001"], "session": SESSION, "filter": {}}
    plain = answer_payload(service, {**request, "what_if": None})
    tried = answer_payload(service, {**request, "what_if": {"diversity": 0.8, "less_popular": 9}})
    assert_is(tried, contract.AnswerPayload)
    assert plain["notices"] == []
    assert tried["notices"] == ["“Less popular” must be a number from 0 to 1: it is off."]
    for key, html in tried["columns"].items():
        assert re.search(r"Re-ranked: costs 0\.\d{3} of mean score, \d+ of 10 items", html)
        assert "Re-ranked" not in plain["columns"][key]


def test_a_click_is_settled_when_it_is_stored_or_is_none_of_ours(service, events_of):
    click = {"item_id": "book-001", "source": "browse", "rank": None, "session": "0" * 32}
    for key in ("f" * 32, "f" * 32, "no key", 5):
        found = record_payload(service, {**click, "key": key})
        assert_is(found, contract.RecordPayload)
        assert found == {"is_settled": True}
    assert len(events_of(service)) == 3  # the key that came twice is one click
    for strange in (None, [], "x", {**click, "source": "elsewhere"}):
        assert record_payload(service, strange) == {"is_settled": True}
    service.catalog.path.unlink()
    assert record_payload(service, click) == {"is_settled": False}
