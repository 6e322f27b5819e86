"""Cleaning of texts, lists, prices and years."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.clean import (
    clean_text,
    clean_title,
    joined_text,
    labels,
    list_or_text,
)
from tests.waiting import time_limit


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Episode I &amp; II", "Episode I & II"),
        ("AT&amp;amp;T &#39;90s &rsquo;n", "AT&T '90s ’n"),
        ("<b>Bold</b> and <i>fine</i>", "Bold and fine"),
        ("10<sup>th</sup>", "10th"),
        ("<p>One.</p><p>Two.<br/>Three</p>", "One.\nTwo.\nThree"),
        ("a <!-- .x {color:red} --> b", "a b"),
        ("a <!-- never closed", "a"),
        ("<style type='text/css'>p {margin: 0}</style>text", "text"),
        ("x<SCRIPT>alert('<b>')</SCRIPT>y", "x y"),
        (".headerM {color:#000;font-size:24px;} Text", "Text"),
        ("&lt;b&gt;escaped&lt;/b&gt;", "escaped"),
        ("1 < 2 and 3 > 2, <3", "1 < 2 and 3 > 2, <3"),
        ("List<T> and <Untitled>", "List<T> and <Untitled>"),
        (
            "Trends in R&D&section notes &notit; &copy 2010",
            "Trends in R&D&section notes &notit; &copy 2010",
        ),
        ("Salt &amp Pepper &lt;3&nbsp;&hearts; &copy;", "Salt & Pepper <3 ♥ ©"),
        ("half a pair &#55357; nothing &#0;", "half a pair &#55357; nothing &#0;"),
        ("  much \t blank \r\n\r\n\n  here\u200b ", "much blank\nhere"),
        ("", ""),
    ],
)
def test_clean_text(raw, clean):
    assert clean_text(raw) == clean


def test_a_title_that_is_only_a_tag_stays():
    assert clean_title("<img src=x onerror=alert(1)>") == "<img src=x onerror=alert(1)>"
    assert clean_title("<!-- nothing -->") == ""


@given(st.text(alphabet=st.sampled_from("<>&;!-/ab {}:\n'p\u0130#"), max_size=60))
def test_cleaning_twice_is_cleaning_once(raw):
    once = clean_text(raw)
    assert clean_text(once) == once


@pytest.mark.parametrize(
    "unit",
    [
        "x" * 80 + "{" + ":" * 4001,
        "['\\'",
        "['a' ",
        "a[",
        ".a ",
        "<",
        "<!--",
        "<b",
        "&lt;",
        "{",
        ".a{b:",
        "<script",
        " \n",
        "&",
    ],
)
def test_hostile_texts_take_no_quadratic_time(unit):
    """At 5 MB, looking at every pair of characters would take hours; the guard is a minute."""
    with time_limit(60):
        clean_text(unit * (5_000_000 // len(unit)))


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, []),
        (float("nan"), []),
        ("", []),
        ("plain", ["plain"]),
        ("['a', \"b's\"]", ["a", "b's"]),
        ("[['A' 'B']\n ['C']]", ["A", "B", "C"]),
        ("[None 'a']", ["a"]),
        ("['never closed]", ["['never closed]"]),
        ([["a", "b"], ["c"]], ["a", "b", "c"]),
        (12, ["12"]),
    ],
)
def test_list_or_text(value, parts):
    assert list_or_text(value) == parts


def test_joined_text_drops_repeated_and_empty_parts():
    assert joined_text(["<b>One</b>", "One", "<!-- x -->", "Two &amp; three"]) == "One\nTwo & three"


@pytest.mark.parametrize(
    ("value", "separators", "expected"),
    [
        ("Action|Comedy|Action", "|;", ("Action", "Comedy")),
        ("a; b, c", "|;", ("a", "b, c")),
        ("Arts, Crafts &amp; Sewing", "|;", ("Arts, Crafts & Sewing",)),
        ("one, two", "|;,", ("one", "two")),
        ("['Arts, Crafts', 'x;y']", "|;,", ("Arts, Crafts", "x;y")),
        ("['Arts, Crafts']", "|;,", ("Arts, Crafts",)),
        (["Arts, Crafts & Sewing"], "|;,", ("Arts, Crafts & Sewing",)),
        ("None", "|;,", ()),
        (None, "|;", ()),
    ],
)
def test_labels(value, separators, expected):
    assert labels(value, separators) == expected
