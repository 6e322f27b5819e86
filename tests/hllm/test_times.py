"""Timestamps are exact, whatever notation they are in."""

import datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hllm import times
from hllm.times import (
    from_datetime,
    num_decimals,
    parse_timestamp,
    parse_timestamps,
    time_order,
)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), (" -3 ", -3), ("1.0", 1), ("1598930863.599", Decimal("1598930863.599")),
        ("1.5692E+09", 1569200000), ("1598930863599000001", 1598930863599000001),
        ("2020-07-05", 1593907200), ("2020-07-05 05:27:09", 1593926829),
        ("2020-07-05 05:27:09.900", Decimal("1593926829.9")),
        ("2020-07-05T05:27:09.123456789Z", Decimal("1593926829.123456789")),
        ("2020-07-05T07:27:09,5+02:00", Decimal("1593926829.5")),
        ("2020-07-05 05:27:09.25 UTC", Decimal("1593926829.25")),
        ("1960-01-01 00:00:00.25", Decimal("-315619199.75")),
        ("0.1234567891234", Decimal("0.123456789")),
    ],
)  # fmt: skip
def test_parse(text, number):
    assert parse_timestamp(text) == number
    assert type(parse_timestamp(text)) is type(number)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is missing"), (r"\N", "is missing"), ("NaT", "is missing"), ("soon", "neither"),
        ("inf", "neither"), ("1_0", "neither"), ("5.7.2020", "neither"), ("1e999", "out of range"),
        ("9" * 400, "out of range"), ("9" * 19, "out of range"), ("\u0663", "neither"),
    ],
)  # fmt: skip
def test_what_is_no_time(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse_timestamp(text)


def test_datetimes():
    assert from_datetime(datetime.datetime(1970, 1, 2)) == 86_400
    assert from_datetime(pd.Timestamp(1593926829123456789)) == Decimal("1593926829.123456789")


def test_order_is_exact_and_stable():
    nano = 1598930863599000000
    assert time_order([nano + 1, nano, Decimal(nano) + Decimal("0.5"), nano]).tolist() == [
        1,
        3,
        2,
        0,
    ]
    assert time_order([Decimal("1.5"), 1, Decimal("1.25"), 1]).tolist() == [1, 3, 2, 0]
    assert time_order([]).tolist() == []


def test_num_decimals():
    assert [num_decimals(n) for n in (7, Decimal("1.25"), parse_timestamp("1e3"))] == [0, 2, 0]


NUMBERS = ["5", "007", "1_0", " 7", "7 ", "", "٣", "12.50", "-4", "+4", "9" * 18, "9" * 19]
DATES = (
    st.datetimes().map(str)
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.dates().map(str)
)
WHOLE = st.integers(-(2**63), 2**63).map(str)


@given(st.lists(st.sampled_from(NUMBERS) | DATES | WHOLE | st.text(max_size=20), max_size=6))
def test_many_times_are_read_as_one_by_one(texts):
    def found(parse):
        try:
            return [(type(number), number) for number in parse(texts)]
        except ValueError as error:
            return str(error)

    at_once = found(parse_timestamps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(times, "_whole_seconds", lambda text: None)
        assert found(lambda texts: [parse_timestamp(text) for text in texts]) == at_once
