"""Rules of a stranger's JSON: what each accepts, and messages that name key and remedy."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hllm.errors import CheckpointError
from hllm.schema import rules
from hllm.schema.rules import (
    MAX_DEPTH,
    check,
    check_depth,
    one_line,
    parse_json,
    read_object,
    require,
    shown,
)

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("rule", "accepted", "refused"),
    [
        (rules.integer(0, 5), [0, 5], [-1, 6, 2.0, True, "3", None, [1], NAN]),
        (rules.number(0, 1), [0, 1, 0.5], [-0.1, 1.1, True, NAN, INF, -INF, "0", None, 10**400]),
        (rules.number(0, 1, above=True), [1, 0.001], [0, 0.0, -0.0]),
        (rules.number(0, 1, below=True), [0, 0.999], [1, 1.0]),
        (rules.boolean(), [True, False], [0, 1, "true", None]),
        (rules.choice("a", 1), ["a", 1], ["b", 1.0, True, "A", ["a"], None]),
        (rules.text(3), ["", "abc", "日本語"], ["abcd", 3, None, ["a"]]),
        (
            rules.items(rules.integer(0, 9), 1, 2),
            [[1], [1, 2]],
            [[], [1, 2, 3], [1, "x"], "12", (1,)],
        ),
        (
            rules.table(rules.text(1), rules.boolean(), 1),
            [{}, {"a": True}],
            [{"ab": True}, {"a": 1}, {"a": True, "b": True}, [], None],
        ),
        (rules.either(rules.integer(0, 1), rules.text(1)), [1, "x"], [2, "xy", None]),
        (rules.integer(0, 1).optional(), [0, None], [2, "None", False]),
    ],
)
def test_what_is_accepted(rule, accepted, refused):
    assert [value for value in accepted if not rule.accepts(value)] == []
    assert [value for value in refused if rule.accepts(value)] == []
    assert rule.allowed and "\n" not in rule.allowed


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (rules.integer(1, 9), "a whole number from 1 to 9"),
        (rules.number(0, 1, above=True, below=True), "a number above 0 below 1"),
        (rules.choice("a"), '"a"'),
        (rules.choice("a", 2), 'one of "a", 2'),
        (rules.text(5).optional(), "a text of at most 5 characters, or null"),
    ],
)
def test_rules_in_words(rule, words):
    assert rule.allowed == words


def test_a_message_names_place_key_value_and_remedy():
    known = {"size": rules.integer(1, 9)}
    check({"size": 3}, known, "here", "do this")
    check({}, known, "here", "do this")
    with pytest.raises(CheckpointError, match=r"^here: size is 0, but must be a .*; do this\.$"):
        check({"size": 0}, known, "here", "do this")
    with pytest.raises(CheckpointError, match=r'^here: "other\\nline" is not a key .*; do this\.$'):
        check({"other\nline": 1}, known, "here", "do this")
    with pytest.raises(CheckpointError, match=r"^here: b is missing; do this\.$"):
        require({"a": None}, ("a", "b", "c"), "here", "do this")


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**5)), {"a\n": "b\u2028"}, object(), NAN]
)
def test_any_value_is_shown_in_one_short_line(value):
    words = shown(value)
    assert len(words) <= 63 and words.isprintable()


def test_any_error_is_one_short_line():
    assert one_line(ValueError("a\n\n  b\t")) == "a b"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 10**6))) == 303


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "not hold a JSON object"),
        ("null", "not hold a JSON object"),
        ("{", "Expecting"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        ('{"a": "' + "x" * 2000 + '"}', "larger than 1 kB"),
    ],
)
def test_a_file_that_is_no_object_is_refused(tmp_path, content, message):
    (tmp_path / "x.json").write_text(content)
    limit = 10**6 if message != "larger than 1 kB" else 1000
    with pytest.raises(ValueError, match=message):
        read_object(tmp_path / "x.json", limit)


@pytest.mark.parametrize("pair", ["[]", "()", "{}"])
def test_brackets_outside_strings_count_up_to_the_limit(pair):
    def nested(depth):
        return pair[0] * depth + pair[1] * depth

    flat = pair * 1000 + json.dumps(nested(MAX_DEPTH + 1) + '"') + repr(nested(500) + '"') + "'" * 2
    assert check_depth(flat) == flat
    assert check_depth(nested(MAX_DEPTH) * 3)
    for text in (nested(MAX_DEPTH + 1), flat + nested(MAX_DEPTH + 1), pair[0] * 10**6):
        with pytest.raises(ValueError, match="nested deeper than 100 levels"):
            check_depth(text)


def test_json_is_refused_before_it_recurses():
    assert parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    # 500 levels are few enough for the parser, and too many for what walks through the value.
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json("[" * 500 + "]" * 500)


def depth_of(value):
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a\u00e9'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(JSON)
def test_depth_is_that_of_the_parsed_value(value):
    text, depth = json.dumps(value), depth_of(value)
    assert check_depth(text, depth) == text
    if depth:
        with pytest.raises(ValueError, match=f"deeper than {depth - 1} levels"):
            check_depth(text, depth - 1)


def test_a_file_of_exactly_the_limit_is_read(tmp_path):
    text = json.dumps({"ü": 1}, ensure_ascii=False)
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    assert read_object(tmp_path / "x.json", len(text.encode())) == {"ü": 1}
    with pytest.raises(ValueError, match="larger"):
        read_object(tmp_path / "x.json", len(text.encode()) - 1)
    with pytest.raises(OSError, match="none"):
        read_object(tmp_path / "none.json", 10)
