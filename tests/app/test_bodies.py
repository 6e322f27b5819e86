"""What may stand in a request, without a server; test_gate.py asks the real app."""

import json

import pytest

from app.bodies import MAX_DEPTH, MAX_INT, Endpoint, Surface
from app.errors import RefusedError

SEARCH = Endpoint(("text", "category", "sort"), defaults=("", "title"))
SURFACE = Surface(
    endpoints={"search": SEARCH},
    events={0: SEARCH, 3: Endpoint(("raw",))},
    components=frozenset({7}),
    functions=frozenset({"browse"}),
    catalogs=("books", "games"),
)


def body(**values):
    return json.dumps(values).encode()


def refused(check, *arguments):
    with pytest.raises(RefusedError) as error:
        check(*arguments)
    assert "\n" not in error.value.sentence
    return error.value.status, error.value.sentence


@pytest.mark.parametrize(
    ("given", "complete"),
    [
        (["a"], ["a", "", "title"]),
        (["a", "War"], ["a", "War", "title"]),
        (["a", "War", "year"], ["a", "War", "year"]),
        ([None], [None, "", "title"]),
    ],
)
def test_what_is_left_out_at_the_end_gets_its_default(given, complete):
    assert json.loads(SURFACE.check_call("search", body(data=given))) == {"data": complete}
    joined = body(data=given, fn_index=0, session_hash="s", trigger_id=7, event_data=None)
    assert json.loads(SURFACE.check_join(joined))["data"] == complete


@pytest.mark.parametrize("data", [[], ["a"] * 4, {}, "a", None])
def test_another_number_of_values_is_refused(data):
    status, sentence = refused(SURFACE.check_call, "search", body(data=data))
    assert (status, "1 to 3 values: text, category, sort" in sentence) == (400, True)
    joined = body(data=data, fn_index=3, session_hash="s")
    status, sentence = refused(SURFACE.check_join, joined)
    assert (status, "1 values: raw" in sentence) == (400, True)


@pytest.mark.parametrize("session", ["", "a" * 65, "a b", "é", 3, ["s"], None])
def test_a_session_is_a_short_name(session):
    status, sentence = refused(
        SURFACE.check_join, body(data=["a"], fn_index=3, session_hash=session)
    )
    assert (status, "session_hash" in sentence) == (400, True)
    assert SURFACE.check_join(body(data=["a"], fn_index=3, session_hash="a" * 64))


@pytest.mark.parametrize("number", [1, -1, True, 0.0, "0", [0], None, 10**30])
def test_an_event_is_one_of_the_blocks(number):
    status, _ = refused(SURFACE.check_join, body(data=["a"], fn_index=number, session_hash="s"))
    assert status == (400 if number == 10**30 else 404)


def test_only_server_functions_of_the_page_can_be_called():
    call = {"data": {"text": "x"}, "component_id": 7, "fn_name": "browse", "session_hash": "s"}
    assert json.loads(SURFACE.check_server(body(**call))) == call
    for change in ({"component_id": 8}, {"component_id": "7"}, {"fn_name": "get_config"}):
        assert refused(SURFACE.check_server, body(**call | change))[0] == 404
    assert refused(SURFACE.check_server, body(**call, more=1))[0] == 400


@pytest.mark.parametrize("mark", ["path", "meta", "_type", "__type__"])
def test_the_marks_of_a_file_are_refused_at_any_depth(mark):
    for data in ([{mark: "x"}], [[{"a": [{mark: 1}]}]], [{mark: None}]):
        status, sentence = refused(SURFACE.check_call, "search", body(data=data))
        assert (status, "only plain values" in sentence) == (400, True)
    assert SURFACE.check_call("search", body(data=[mark]))  # as a text it is harmless


@pytest.mark.parametrize("value", [MAX_INT - 1, -MAX_INT, 0.5, 1e300, "\U0001f600", "[[[[" * 50])
def test_plain_values_pass_as_they_are(value):
    assert json.loads(SURFACE.check_call("search", body(data=[value])))["data"][0] == value


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", str(MAX_INT), str(-MAX_INT - 1)])
def test_numbers_that_json_or_64_bits_do_not_have_are_refused(text):
    assert refused(SURFACE.check_call, "search", b'{"data": [%s]}' % text.encode())[0] == 400


def test_nesting_is_counted_up_to_the_limit():
    def nested(depth):
        return b'{"data": [' + b"[" * depth + b"]" * depth + b"]}"

    assert SURFACE.check_call("search", nested(MAX_DEPTH - 2))
    assert "nested deeper" in refused(SURFACE.check_call, "search", nested(MAX_DEPTH - 1))[1]


@pytest.mark.parametrize(
    "catalog", ["gone", "", "GAMES", "games ", 1, True, ["games"], {"a": "games"}]
)
def test_a_question_names_a_catalogue_of_the_closed_list_or_none(catalog):
    def asked(data):
        return body(data=data, component_id=7, fn_name="browse", session_hash="s")

    status, sentence = refused(SURFACE.check_server, asked({"catalog": catalog}))
    assert (status, "there are books, games" in sentence) == (404, True)
    for known in ({"catalog": "games"}, {"catalog": None}, {}, "games", ["gone"], None):
        assert json.loads(SURFACE.check_server(asked(known)))["data"] == known
