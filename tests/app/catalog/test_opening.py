"""A place is opened by what it is; without psycopg an address says what to install."""

import sys

import pytest

from app.catalog.address import Address
from app.catalog.event_reader import EventReader
from app.catalog.events import EventFile, events_path
from app.catalog.opening import (
    copy_into,
    create_catalog,
    open_catalog,
    open_event_reader,
    open_events,
)
from app.errors import CatalogError

NOWHERE = Address("postgresql://nobody@127.0.0.1:1/x")


def test_what_was_made_can_be_opened(new_place):
    place = new_place()
    create_catalog(place, "Some").close()
    with open_catalog(place) as catalog:
        assert (catalog.name, catalog.place) == ("Some", place)


def test_events_are_beside_a_file(tmp_path):
    path = tmp_path / "c.db"
    events, reader = open_events(path), open_event_reader(path)
    assert type(events) is EventFile and type(reader) is EventReader
    assert events.path == reader.path == events_path(path)
    assert not events.exists() and not reader.exists()


@pytest.mark.parametrize(
    "open_it",
    [
        open_catalog,
        create_catalog,
        open_events,
        open_event_reader,
        lambda place: copy_into(place, place),
    ],
)
def test_without_psycopg_it_is_said_what_to_install(open_it, monkeypatch):
    for name in list(sys.modules):
        if name.startswith("app.catalog.postgres."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(CatalogError, match=r"pip install -r requirements-postgres\.txt"):
        open_it(NOWHERE)
