import json

import pytest

from app.catalog import ItemFilter
from app.catalog.items import MAX_ID_CHARS
from app.session import (
    MAX_HISTORY,
    MAX_ROWS,
    BrowseRequest,
    Click,
    WhatIf,
    check_filter,
    clean_browse,
    clean_click,
    clean_detail,
    clean_filter,
    clean_history,
    clean_position,
    clean_rows,
    clean_seed,
    clean_session_id,
    clean_top_k,
    clean_what_if,
    clean_wins,
    is_blind,
)


def everything(item_ids):
    return item_ids


def test_history_keeps_order():
    assert clean_history(["b", "a", "c"], everything).item_ids == ("b", "a", "c")
    assert clean_history(["b", "a", "c"], everything).notices == ()


def test_unknown_items_leave_with_a_notice():
    history = clean_history(["a", "gone", "b"], lambda ids: [i for i in ids if i != "gone"])
    assert history.item_ids == ("a", "b")
    assert history.notices == ("1 item is not in this catalogue and left the history.",)


@pytest.mark.parametrize("junk", [7, None, "", ["nested"], {"id": "x"}, "x" * 501])
def test_junk_in_a_history_is_dropped_and_said(junk):
    history = clean_history(["a", junk, "b"], everything)
    assert history.item_ids == ("a", "b")
    assert "1 item is not in this catalogue" in history.notices[0]


@pytest.mark.parametrize("raw", ["abc", 3, {"a": 1}, True])
def test_history_that_is_no_list_starts_empty(raw):
    assert clean_history(raw, everything).item_ids == ()
    assert clean_history(raw, everything).notices


def test_missing_history_is_no_mistake():
    assert clean_history(None, everything).notices == ()


def test_long_history_keeps_the_most_recent():
    ids = [str(number) for number in range(MAX_HISTORY + 5)]
    history = clean_history(ids, everything)
    assert history.item_ids == tuple(ids[5:])
    assert "most recent" in history.notices[0]


def test_huge_history_asks_the_catalogue_for_a_bounded_number():
    asked = []
    clean_history([str(n) for n in range(100_000)], lambda ids: asked.extend(ids) or ids)
    assert len(asked) == MAX_HISTORY


def test_repeated_item_counts_where_it_was_last():
    assert clean_history(["a", "b", "a"], everything).item_ids == ("b", "a")


def test_browse_request_is_taken_as_it_is_when_it_makes_sense():
    raw = {"text": "  dune  herbert ", "category": "SF", "sort": "title", "cursor": "abc"}
    assert clean_browse(raw) == BrowseRequest("dune herbert", "SF", "title", "abc")


@pytest.mark.parametrize(
    "raw", [None, [], "x", {"text": 5, "category": [], "sort": "; DROP TABLE", "cursor": {}}]
)
def test_senseless_browse_request_gets_defaults(raw):
    assert clean_browse(raw) == BrowseRequest()


def test_browse_text_is_bounded():
    assert len(clean_browse({"text": "x" * 10_000}).text) == 200


def test_question_about_an_item_is_read_and_bounded():
    assert clean_detail({"item": "a", "history": ["b"]}) == ("a", ["b"])
    assert clean_detail({"item": "x" * 10_000})[0] == "x" * MAX_ID_CHARS


@pytest.mark.parametrize("raw", [None, [], "x", {}, {"item": ["a"]}, {"item": 7, "history": None}])
def test_question_about_nothing_names_no_item(raw):
    assert clean_detail(raw) == ("", None)


def test_click_is_read():
    raw = {"item_id": "a", "source": "hllm", "session": "0123456789abcdef", "rank": 3}
    assert clean_click(raw) == Click("a", "hllm", "0123456789abcdef", 3)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"item_id": "", "source": "hllm"},
        {"item_id": "a", "source": "elsewhere"},
        {"item_id": ["a"], "source": "hllm"},
        {"item_id": "a", "source": ["hllm"]},
    ],
)
def test_what_is_no_click_is_none(raw):
    assert clean_click(raw) is None


@pytest.mark.parametrize("rank", [0, -1, "3", True, 10**9, None])
def test_senseless_rank_is_left_out(rank):
    click = clean_click({"item_id": "a", "source": "hllm", "rank": rank})
    assert click is not None and click.rank is None


@pytest.mark.parametrize("raw", [None, "", "short", "x" * 65, "<script>alert(1)</script>", 5])
def test_session_id_that_is_none_of_ours_is_anonymous(raw):
    assert clean_session_id(raw) == "anonymous"


@pytest.mark.parametrize("raw", [0, 101, -3, "10", 2.5, True, None])
def test_top_k_out_of_range_names_the_range(raw):
    with pytest.raises(ValueError, match="from 1 to 100"):
        clean_top_k(raw, 100)
    assert clean_top_k(100, 100) == 100


def known(name):
    return name in ("Mystery", "a'b\"<i>")


def test_filter_is_taken_as_it_is_when_it_makes_sense():
    raw = {"category": "Mystery", "min_price": 5, "max_price": 9.5}
    expected = ItemFilter(category="Mystery", min_price=5.0, max_price=9.5)
    assert clean_filter(raw, known) == (expected, ())
    assert check_filter("Mystery", 5, 9.5, known) == expected
    assert check_filter("", None, None, known) == ItemFilter()
    assert check_filter("a'b\"<i>", 0, None, known).category == "a'b\"<i>"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        "x",
        {},
        {"category": 5, "min_price": "5", "max_price": True},
        {"category": [], "min_price": -1, "max_price": 10**400},
        json.loads('{"category": null, "min_price": NaN, "max_price": Infinity}'),
        {"category": "\x00", "min_price": {}, "max_price": 2e12},
    ],
)
def test_senseless_filter_leaves_nothing_out(raw):
    assert clean_filter(raw, known) == (ItemFilter(), ())


@pytest.mark.parametrize("category", ["mystery", "gone", "x" * 100_000, "\ud800", "${alert(1)}"])
def test_category_that_is_gone_leaves_the_filter_with_a_notice(category):
    item_filter, notices = clean_filter({"category": category, "max_price": 3}, known)
    assert item_filter == ItemFilter(max_price=3.0)
    assert "is not in this catalogue" in notices[0] and len(notices[0]) < 300
    notices[0].encode()


def test_prices_the_wrong_way_round_are_turned():
    assert clean_filter({"min_price": 9, "max_price": 2}, known)[0] == ItemFilter(
        min_price=2.0, max_price=9.0
    )


@pytest.mark.parametrize(
    ("category", "low", "high", "message"),
    [
        ("gone", None, None, "There is no category 'gone' in this catalogue"),
        ("x" * 100_000, None, None, "There is no category 'xxx"),
        ("\ud800", None, None, "There is no category"),
        (None, None, None, "category must be a text, not None"),
        ("", "cheap", None, "min_price must be a number from 0 to"),
        ("", None, -1, "max_price must be a number"),
        ("", True, None, "min_price must be a number"),
        ("", None, float("nan"), "max_price must be a number"),
        ("", 10**400, None, "min_price must be a number"),
        ("", 5, 3, "min_price 5 must not be more than max_price 3"),
    ],
)
def test_filter_of_a_program_is_refused_with_one_short_line(category, low, high, message):
    with pytest.raises(ValueError, match=message) as caught:
        check_filter(category, low, high, known)
    text = str(caught.value)
    assert len(text) < 200 and "\n" not in text
    text.encode()


def test_texts_that_no_database_can_hold_do_no_harm():
    assert clean_browse({"text": "a\ud800", "category": "\ud800"}).text == "a?"
    asked = []
    assert clean_history(["\ud800"], lambda ids: asked.extend(ids) or []).item_ids == ()
    assert asked == ["?"]


def test_rows_are_those_of_known_columns_each_once_and_not_too_many():
    raw = {"hllm": ["a", "b", "a", 5, None], "other": ["c"], "baseline": "a"}
    assert clean_rows(raw, ["hllm", "baseline"]) == {"hllm": ["a", "b", ""]}
    assert clean_rows({"hllm": [str(n) for n in range(99)]}, ["hllm"]) == {
        "hllm": [str(n) for n in range(MAX_ROWS)]
    }
    for strange in (None, [], "x", {"hllm": {"a": 1}}):
        assert clean_rows(strange, ["hllm"]) == {}


def test_parts_of_a_blind_test_are_what_they_must_be_or_nothing():
    assert clean_seed("5eed" * 8) == "5eed" * 8
    for strange in (None, 5, "", "5eed", "x" * 32, "a" * 65, ["5eed" * 8], "5eed" * 8 + "\n"):
        assert clean_seed(strange) == ""
    assert [clean_position(raw) for raw in (1, 10, 0, -1, 10**9, True, 1.0, "1", None)] == [
        1, 10, 0, 0, 0, 0, 0, 0, 0,
    ]  # fmt: skip
    keys = ["hllm", "baseline"]
    assert clean_wins({"hllm": 7, "baseline": 3, "other": 1}, keys) == [7, 3]
    for strange in (None, [], "x", {"hllm": "7"}, {"hllm": -1, "baseline": {}}):
        assert clean_wins(strange, keys) == [0, 0]
    assert [is_blind(raw) for raw in ({"blind": True}, {"blind": 1}, {}, None, [True])] == [
        True, False, False, False, False,
    ]  # fmt: skip


def test_a_what_if_is_read():
    assert clean_what_if(None, True) is None
    assert clean_what_if({"diversity": 0.25, "less_popular": 1}, True) == WhatIf(0.25, 1.0)
    assert clean_what_if({}, False) == WhatIf()
    unknown = clean_what_if({"diversity": 0, "less_popular": 0.5}, False)
    assert unknown.less_popular == 0 and "Less popular" in unknown.notices[0]


@pytest.mark.parametrize(
    "value", [-0.1, 1.0001, 1e308, True, None, "0.5", [0.5], {}, float("nan"), float("inf"), 2**70]
)
@pytest.mark.parametrize("name", ["diversity", "less_popular"])
def test_a_slider_out_of_range_is_off_and_that_is_said(name, value):
    found = clean_what_if({"diversity": 0.5, "less_popular": 0.5, name: value}, True)
    assert getattr(found, name) == 0 and {found.diversity, found.less_popular} == {0, 0.5}
    assert found.notices[0].endswith("must be a number from 0 to 1: it is off.")


@pytest.mark.parametrize("raw", [0, "", [], False, "diversity", [["diversity", 1]]])
def test_a_what_if_that_is_none_is_still_not_the_real_history(raw):
    assert clean_what_if(raw, True) == WhatIf()
