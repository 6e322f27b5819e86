"""Hostile texts: reading one that is ten times as long takes about ten times as long, not more."""

import time

import pytest

from app.ingest.amazon import item_2018
from app.ingest.clean import clean_title, labels
from app.ingest.lists import as_list
from app.ingest.numbers import parse_count, parse_price, parse_year
from hllm.schema.rules import check_depth
from hllm.split_files import item_list
from hllm.times import parse_timestamp

CASES = {
    "digits and a letter": (parse_timestamp, lambda n: "1" * n + "x"),
    "points": (parse_timestamp, lambda n: "1." * (n // 2)),
    "a fraction": (parse_timestamp, lambda n: "2020-01-01T00:00:00." + "1" * n),
    "ids": (item_list, lambda n: "[" + "1," * (n // 2) + "]"),
    "braces": (clean_title, lambda n: "x" * 80 + "{" + ":" * n),
    "many braces": (clean_title, lambda n: ("x" * 8 + "{" + "a:" * 40) * (n // 89)),
    "selectors": (clean_title, lambda n: (".a" + ":b" * 99 + "{top:0}") * (n // 207)),
    "open tags": (clean_title, lambda n: "<a " * (n // 3)),
    "angles": (clean_title, lambda n: "<" * n),
    "comments": (clean_title, lambda n: "<!--" * (n // 4)),
    "entities": (clean_title, lambda n: "&a" * (n // 2)),
    "blanks": (clean_title, lambda n: "x" + " \n" * (n // 2) + "x"),
    "quotes": (as_list, lambda n: "[" + "'" * n + "]"),
    "arrays": (as_list, lambda n: "[" + "array(" * (n // 6) + "]"),
    "blanks in lists": (as_list, lambda n: "[" + (", " + " " * 50) * (n // 52) + "]"),
    "signs": (as_list, lambda n: "[" + "-" * n + "1]"),
    "strings": (check_depth, lambda n: "[" * 101 + '"\\' * (n // 2)),
    "labels": (labels, lambda n: "<;" * (n // 2)),
    "scripts": (lambda t: item_2018({"asin": "a", "title": t}), lambda n: "var " + "x" * n + ";"),
    "prices": (parse_price, lambda n: "1 000" * (n // 5)),
    "years": (parse_year, lambda n: "1" * n + ".0x"),
    "counts": (parse_count, lambda n: "9," * (n // 2) + "x"),
}


def seconds(read, text):
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        try:
            read(text)
        except ValueError:
            pass
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("name", CASES)
def test_time_grows_with_the_length_only(name):
    read, make = CASES[name]
    short, long = seconds(read, make(10_000)), seconds(read, make(100_000))
    # Squares would be 100 times as much; what is too fast to be measured is no square, either.
    assert long < max(40 * short, 0.05)
