"""Timestamps as exact numbers: no digit that a file has is lost, so order in time is kept.

A number keeps its unit; a date and time in ISO notation becomes seconds since 1970 (UTC where it
names no zone). Whole numbers are ints, others Decimals: both compare exactly with each other.
"""

import datetime
import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

Timestamp = int | Decimal

MAX_TIMESTAMP = 2**62
MAX_DECIMALS = 9  # nanoseconds, where the unit is a second
# No two parts may take the same digits: many digits and an "x" would be tried in every division.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
# datetime.fromisoformat cuts off what follows the sixth digit of a fraction.
_FRACTION = re.compile(r"(?<=\d\d)[.,](\d+)", re.ASCII)
_EPOCH = datetime.datetime(1970, 1, 1)  # for times without a zone, which are UTC
_EPOCH_UTC = _EPOCH.replace(tzinfo=datetime.UTC)
_MISSING = frozenset(("", r"\n", "nan", "nat", "none", "null", "na", "n/a", "<na>"))


def parse_timestamp(text: str) -> Timestamp:
    """Read a number in any unit, or a date and time in ISO notation.

    Raises:
        ValueError: it is missing, neither, or out of range; says which.
    """
    if text.isdigit() and text.isascii() and len(text) < 19:  # nearly always, so it comes first
        return int(text)
    if text[4:5] == "-" and (seconds := _whole_seconds(text)) is not None:
        return seconds
    text = text.strip()
    if text.lower() in _MISSING:
        raise ValueError(f"{text!r} is missing")
    number = Decimal(text) if _NUMBER.fullmatch(text) else _from_iso(text)
    return _normal(number, text)


def parse_timestamps(texts: Sequence[str]) -> list[Timestamp]:
    """Read many; each is what parse_timestamp gives.

    Raises:
        ValueError: one of them is missing, neither, or out of range.
    """
    digits = "".join(texts)
    if digits.isdigit() and digits.isascii() and 0 < min(map(len, texts)):
        if max(map(len, texts)) < 19:
            return list(map(int, texts))
    return list(map(parse_timestamp, texts))


def _whole_seconds(text: str) -> int | None:
    """Seconds of a date and time in ISO notation without a fraction; None: it is something else."""
    if "." in text or "," in text:
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    since = moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)
    return since.days * 86_400 + since.seconds


def from_datetime(moment: datetime.datetime) -> Timestamp:
    """Seconds since 1970 of a moment; of pandas' Timestamps to the nanosecond."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    since = moment - _EPOCH_UTC
    seconds = since.days * 86_400 + since.seconds
    billionths = since.microseconds * 1000 + getattr(moment, "nanosecond", 0)
    return _normal(seconds + Decimal(billionths).scaleb(-9), str(moment))


def _normal(number: Decimal, text: str) -> Timestamp:
    if not number.is_finite() or number.adjusted() > 18 or abs(number) > MAX_TIMESTAMP:
        raise ValueError(f"{text[:40]!r} is out of range")
    if number != number.to_integral_value():
        number = round(number, MAX_DECIMALS)
    return int(number) if number == number.to_integral_value() else number.normalize()


def _from_iso(text: str) -> Decimal:
    plain = text.removesuffix(" UTC")
    fraction = _FRACTION.search(plain)
    if fraction:
        plain = plain[: fraction.start()] + plain[fraction.end() :]
    try:
        seconds = from_datetime(datetime.datetime.fromisoformat(plain))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text[:40]!r} is neither a number nor an ISO date") from error
    return seconds + (Decimal(f"0.{fraction[1][:30]}") if fraction else Decimal())


def num_decimals(number: Timestamp) -> int:
    """How many digits a timestamp has behind the point."""
    return 0 if isinstance(number, int) else max(0, -int(number.as_tuple().exponent))


def time_order(timestamps: Sequence[Timestamp]) -> np.ndarray:
    """Positions in order of time, (n,) int64; equal times keep their order."""
    scaled: Sequence[int]
    if set(map(type, timestamps)) <= {int}:  # nearly always
        scaled = timestamps  # type: ignore[assignment]
    else:
        digits = max(map(num_decimals, timestamps))
        scaled = [
            number * 10**digits if isinstance(number, int) else int(number.scaleb(digits))
            for number in timestamps
        ]
    try:
        return np.argsort(np.array(scaled, dtype=np.int64), kind="stable")
    except OverflowError:
        return np.array(sorted(range(len(scaled)), key=scaled.__getitem__), dtype=np.int64)
