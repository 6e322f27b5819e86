import pytest

from app.session import (
    MAX_HISTORY,
    BrowseRequest,
    Click,
    clean_browse,
    clean_click,
    clean_history,
    clean_session_id,
    clean_top_k,
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
