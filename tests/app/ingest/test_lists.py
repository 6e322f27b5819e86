"""Lists that were written as text, by JSON, Python or NumPy."""

import pytest

from app.ingest.lists import MAX_CHARS, as_list


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (["a", 1], ["a", 1]),
        (("a",), ("a",)),
        ('["a", "b"]', ["a", "b"]),
        (" [] ", []),
        ("['two\nlines']", ["two\nlines"]),
        ("['Music' 'Wind'\n 'Brass']", ["Music", "Wind", "Brass"]),
        ("['a' \"b's\" 'c\\'s']", ["a", "b's", "c's"]),
        ("[['A' 'B']\n ['C']]", [["A", "B"], ["C"]]),
        ("[array(['A', 'B'], dtype=object)]", [["A", "B"]]),
        ("[None 'a']", [None, "a"]),
        ("['It's 5\" wide', '', \"b\"]", ["It's 5\" wide", "", "b"]),
    ],
)
def test_lists(value, parts):
    assert as_list(value) == parts


@pytest.mark.parametrize(
    "value",
    [
        None,
        12,
        "plain",
        "[not a list]",
        "[1] is a footnote",
        "[1, 2]",
        "['never closed]",
        "[open('x')]",
        f"['{'x' * MAX_CHARS}']",
    ],
)
def test_what_is_no_list_of_texts(value):
    assert as_list(value) is None


def test_lists_of_numpy_in_a_table(run, stored):
    meta = (
        "parent_asin,title,description,features,categories\n"
        "P1,Whistle,\"['First part.' 'Second part.']\",\"['Loud'\n 'In D']\","
        "['Wind' \"Brass & Reed\"]\nP2,Pipe,[],['Soft'],\"['Wind, Brass & Reed']\"\n"
    )
    assert (
        run("table", items=("meta.csv", meta.replace('"Brass & Reed"', "'Brass & Reed'")))[0] == 0
    )
    one, two = stored()["P1"], stored()["P2"]
    assert one.categories == ("Wind", "Brass & Reed")
    assert (one.description, one.extra["features"]) == ("First part.\nSecond part.", "Loud\nIn D")
    assert (two.categories, two.extra["features"]) == (("Wind, Brass & Reed",), "Soft")
