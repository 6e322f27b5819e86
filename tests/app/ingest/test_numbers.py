"""Prices, years and counts in the notations of data sets."""

import pytest

from app.ingest.numbers import parse_count, parse_price, parse_year


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("$12.99", 12.99), ("$5.00 - $9.00", 5.0), ("1,299.00", 1299.0), ("from 3", 3.0), (4, 4.0),
        ("12,99", 12.99), ("1.299,00 €", 1299.0), ("$1,234.50", 1234.5), ("1,299", 1299.0),
        ("1.299", 1.299), ("1.299.000", 1299000.0), ("1,29,900", 129900.0), ("0,999", 0.999),
        ("1\u202f299,00", 1299.0), ("1'299.50", 1299.5), ("12 500", 12500.0), ("$.99", 0.99),
        ("12.-", 12.0), ("5,00-9,00", 5.0), ("-5", None), (10**400, None), ("None", None),
        ("", None), (None, None), (".a-box{margin:0}", None), (float("nan"), None), (True, None),
    ],
)  # fmt: skip
def test_price(value, price):
    assert parse_price(value) == price


@pytest.mark.parametrize(
    ("value", "year"),
    [
        (1965, 1965), ("1965", 1965), (1999.0, 1999), ("1999.0", 1999), ("June 1, 2010", 2010),
        ("2001-02-03", 2001), (-800, -800), ("", None), (None, None), ("ISBN 1234567890", None),
        ("Vintage; Reprint edition (May 5, 1992)", 1992), ("unknown", None),
    ],
)  # fmt: skip
def test_year(value, year):
    assert parse_year(value) == year


@pytest.mark.parametrize(
    ("value", "count"),
    [(3, 3), ("1,234", 1234), ("12.0", 12), (-1, 0), ("x", 0), (None, 0), ("inf", 0)],
)
def test_count(value, count):
    assert parse_count(value) == count
