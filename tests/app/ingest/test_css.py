"""Style sheets that lost their tags, and texts in braces that are none."""

import pytest

from app.ingest.css import without_css


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("before .box { color: red; } after", "before   after"),
        ("p {margin: 0} .a > td b:hover{ border:1px solid; color : red }\nend", "   \nend"),
        ("#x, .y { -webkit-box: 1; --own: 2 } a {b} c", "  a {b} c"),
        ("a[href]{top:0}b", " b"),
        (f"{'.a, ' * 90}.b{{top:0}}x", " x"),
    ],
)
def test_rules_go_with_their_selectors(text, expected):
    assert without_css(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "set {a, b} of f(x) { return }",
        "Star Quest {Collector's Edition: Gold}",
        "Regex {a: b} in use; Paint {color: blue}",  # no selector stands before it
        "p {margin: }",
        "p {}",
        "p {margin: 0",
        "p {margin: <b>}",
    ],
)
def test_what_is_no_rule_stays(text):
    assert without_css(text) == text
