"""Times in the database: one unit, as fine as the finest time, and shown as they came in."""

from decimal import Decimal

import pytest

from app.catalog import CatalogItem
from app.catalog.times import shown_time, stored_times
from app.errors import CatalogError


@pytest.fixture
def catalog(new_catalog):
    catalog = new_catalog()
    catalog.add_items([CatalogItem(item_id="a"), CatalogItem(item_id="b")])
    yield catalog
    catalog.close()


def store(catalog, *times):
    """What is stored of times, and the digits that the catalogue has then."""
    with catalog._file.writing() as db:
        (digits,) = db.execute("SELECT value FROM meta WHERE key = 'time_digits'").fetchone()
        found = stored_times(db, times, int(digits))
        (digits,) = db.execute("SELECT value FROM meta WHERE key = 'time_digits'").fetchone()
    return found, int(digits)


def stored_rows(catalog):
    with catalog._file.reading() as connection:
        return connection.execute("SELECT id, timestamp FROM interactions ORDER BY id").fetchall()


@pytest.mark.parametrize(
    ("stored", "digits", "time"),
    [
        (1593926829, 0, 1593926829),
        (1001, 3, Decimal("1.001")),
        (1500, 3, Decimal("1.5")),
        (1000, 3, 1),
        (-1500, 3, Decimal("-1.5")),
        (-1000, 3, -1),
        (0, 9, 0),
    ],
)
def test_a_time_is_shown_as_it_came_in(stored, digits, time):
    shown = shown_time(stored, digits)
    assert (shown, type(shown), str(shown)) == (time, type(time), str(time))


def test_whole_times_are_stored_as_they_are(catalog):
    assert store(catalog, 7, -3, 2**62) == ([7, -3, 2**62], 0)


def test_a_fraction_makes_the_unit_finer_once_for_all(catalog):
    assert store(catalog, 2, Decimal("1.25")) == ([200, 125], 2)
    assert store(catalog, 2, Decimal("1.5")) == ([200, 150], 2)
    assert store(catalog, Decimal("-1.125"), 2) == ([-1125, 2000], 3)


def test_rows_that_are_there_are_multiplied_and_keep_their_ids(catalog):
    # In place, the product 10 of the first would meet the second before that is multiplied.
    catalog.add_interactions([("u", "a", 1), ("u", "a", 10), ("u", "b", 100)])
    before = stored_rows(catalog)
    catalog.add_interactions([("u", "b", Decimal("0.5"))])
    *old, (_, new) = stored_rows(catalog)
    assert old == [(row, 10 * time) for row, time in before] and new == 5
    assert [time for _, _, time in catalog.iter_interactions()] == [1, 10, 100, Decimal("0.5")]


def test_digits_that_find_no_room_are_cut_off_downwards(catalog):
    # 2**63 - 1 is 9.2e18: beside 1.6e18 there is no room for another digit, beside 1.6e17 for one.
    large = 1_600_000_000_000_000_000
    assert store(catalog, large, large + Decimal("0.5")) == ([large, large], 0)
    assert store(catalog, -large - Decimal("0.5")) == ([-large - 1], 0)
    smaller = large // 10
    found, digits = store(catalog, smaller + Decimal("0.25"))
    assert (found, digits) == ([large + 2], 1)


def test_rows_that_are_there_bound_the_unit_too(catalog):
    large = 1_600_000_000_000_000_000
    catalog.add_interactions([("u", "a", large)])
    assert store(catalog, Decimal("1.5")) == ([1], 0)


def test_a_time_that_no_longer_fits_is_refused_and_changes_nothing(catalog):
    catalog.add_interactions([("u", "a", Decimal("1.000000001"))])
    before = stored_rows(catalog)
    assert store(catalog, 9_223_372_036) == ([9_223_372_036_000_000_000], 9)
    with pytest.raises(CatalogError, match=r"Timestamp 9223372037 .* have 9 digits .*another unit"):
        catalog.add_interactions([("v", "b", 2), ("u", "b", 9_223_372_037)])
    assert stored_rows(catalog) == before
