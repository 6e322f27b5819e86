"""Timestamps in the database: whole numbers of one unit, fine enough for every digit that came in.

``time_digits`` of the meta table says how many digits behind the point they hold. It is 0 until a
time with a fraction comes in; then all are multiplied once. Every function runs inside the caller's
transaction.
"""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

from app.catalog.sql import Connection
from app.errors import CatalogError
from hllm.times import Timestamp, num_decimals

_MAX = 2**63 - 1


def stored_times(db: Connection, timestamps: Sequence[Timestamp], digits: int) -> list[int]:
    """Timestamps as they are stored; makes the unit finer where they need it.

    Raises:
        CatalogError: they do not fit beside the ones that are there.
    """
    needed = max((num_decimals(number) for number in timestamps), default=0)
    if needed > digits:
        digits = _refine(db, timestamps, digits, needed)
    if not digits:
        whole = [number for number in timestamps if isinstance(number, int)]
        return whole if len(whole) == len(timestamps) else [_scaled(n, 0) for n in timestamps]
    stored = [_scaled(number, digits) for number in timestamps]
    for number, value in zip(timestamps, stored, strict=True):
        if abs(value) > _MAX:
            raise CatalogError(
                f"Timestamp {number} does not fit into a catalogue whose times have {digits} "
                "digits behind the point: it seems to be in another unit, so import it into "
                "another catalogue, or bring both to one unit."
            )
    return stored


def shown_time(stored: int, digits: int) -> Timestamp:
    """A timestamp as it came in."""
    if not digits:
        return stored
    whole, fraction = divmod(stored, 10**digits)
    return Decimal(stored).scaleb(-digits).normalize() if fraction else whole


def _scaled(number: Timestamp, digits: int) -> int:
    if isinstance(number, int):
        return number * 10**digits
    return int(number.scaleb(digits).to_integral_value(ROUND_FLOOR))


def _refine(db: Connection, timestamps: Sequence[Timestamp], digits: int, needed: int) -> int:
    low, high = db.execute("SELECT min(timestamp), max(timestamp) FROM interactions").fetchone()
    largest = max(abs(low or 0), abs(high or 0))
    newest = max(abs(Decimal(number)) for number in timestamps)
    # A fraction of a nanosecond beside nanoseconds since 1970 finds no room: it is cut off.
    while needed > digits and (
        largest * 10 ** (needed - digits) > _MAX or newest * 10**needed > _MAX
    ):
        needed -= 1
    if needed > digits:
        # Not one UPDATE: the product of one row could be the time of another.
        db.execute(
            'CREATE TEMP TABLE refined AS SELECT id, "user", item, '
            f"timestamp * {10 ** (needed - digits)} AS timestamp FROM interactions"
        )
        db.execute("DELETE FROM interactions")
        db.execute(
            'INSERT INTO interactions (id, "user", item, timestamp) '
            'SELECT id, "user", item, timestamp FROM refined'
        )
        db.execute("DROP TABLE refined")
        db.execute("UPDATE meta SET value = ? WHERE key = 'time_digits'", [str(needed)])
    return needed
