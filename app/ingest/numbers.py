"""Numbers in the notations of data sets: prices, years, counts."""

import math
import re
from typing import Any

_YEAR = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
_BLANK = r" '\u2019\u00a0\u2009\u202f"
_NUMBER = re.compile(
    rf"(?<![\d.,])-?(?:\d{{1,3}}(?:[{_BLANK}]\d{{3}})+(?!\d)|\d+|(?=[.,]\d))(?:[.,]\d+)*"
)


def parse_price(value: Any) -> float | None:
    """The first amount in "$12.99", "12,99 €", "1.299,00" or "$5.00 - $9.00"; None without one."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) and number >= 0 else None
    match = _NUMBER.search(str(value)[:60]) if "{" not in str(value) else None
    if not match or match[0].startswith("-"):
        return None
    return float(_with_point(re.sub(f"[{_BLANK}]", "", match[0])))


def _with_point(amount: str) -> str:
    """An amount with a decimal point and nothing between its thousands.

    The last of two different signs is the decimal one, and a sign that is there twice is not. A
    single comma is one unless exactly three digits follow it ("1,299"); a single point always is.
    """
    whole, sign, rest = amount.rpartition(max(".,", key=amount.rfind))
    other = "," if sign == "." else "."
    is_decimal = bool(sign) and (
        other in whole
        or (sign not in whole and (sign == "." or len(rest) != 3 or whole in ("", "0")))
    )
    whole, rest = (whole, rest) if is_decimal else (whole + rest, "0")
    digits = whole.replace(",", "").replace(".", "")
    return f"{digits or 0}.{rest or 0}"


def parse_year(value: Any) -> int | None:
    """A year from a number or from a date in any notation that writes it with four digits."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if re.fullmatch(r"-?\d{1,4}(\.0+)?", text):
        return int(float(text))
    match = _YEAR.search(text[:200])
    return int(match.group()) if match else None


def parse_count(value: Any) -> int:
    """A count such as 12, "12", "1,234" or 12.0; 0 where there is none."""
    if isinstance(value, bool) or value is None:
        return 0
    try:
        number = float(str(value).replace(",", "") or 0)
    except ValueError:
        return 0
    return max(0, int(number)) if math.isfinite(number) else 0
