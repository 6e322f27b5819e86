"""Opens what a place names: a catalogue's file, or a database; and the events beside it."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.catalog.address import Address, Place
from app.catalog.catalog import Catalog
from app.catalog.event_reader import EventReader
from app.catalog.events import EventFile, events_path
from app.errors import CatalogError

if TYPE_CHECKING:  # psycopg is in requirements-postgres.txt, which a laptop need not have
    from app.catalog.postgres.catalog import PostgresCatalog
    from app.catalog.postgres.copying import Tell

_MISSING = (
    "A catalogue in PostgreSQL needs the package psycopg: pip install -r requirements-postgres.txt "
    "-c constraints.txt"
)


def open_catalog(place: Place) -> Catalog:
    """Open an existing catalogue; it may be read-only.

    Raises:
        CatalogError: it cannot be opened.
    """
    return _postgres().open(place) if isinstance(place, Address) else Catalog.open(place)


def create_catalog(place: Place, name: str = "") -> Catalog:
    """Make an empty catalogue, or open the one that is there.

    Raises:
        CatalogError: it cannot be written.
    """
    if isinstance(place, Address):
        return _postgres().create(place, name)
    return Catalog.create(place, name)


def copy_into(target: Address, source: Path, tell: "Tell | None" = None) -> int:
    """Copy a catalogue file into a database; see app.catalog.postgres.copying.

    Raises:
        CatalogError: it cannot be copied; what is in the database stands.
    """
    try:
        from app.catalog.postgres.copying import copy_catalog  # noqa: PLC0415  requirements-postgres.txt
    except ImportError as error:
        raise CatalogError(_MISSING) from error
    return copy_catalog(source, target, tell)


def open_events(place: Place) -> EventFile:
    """The events of a catalogue, to write; nothing is made before the first one."""
    if not isinstance(place, Address):
        return EventFile(events_path(place))
    try:
        from app.catalog.postgres.events import PostgresEvents  # noqa: PLC0415  requirements-postgres.txt
    except ImportError as error:
        raise CatalogError(_MISSING) from error
    return PostgresEvents(place)


def open_event_reader(place: Place) -> EventReader:
    """The events of a catalogue, to read."""
    if not isinstance(place, Address):
        return EventReader(events_path(place))
    try:
        from app.catalog.postgres.event_reader import PostgresEventReader  # noqa: PLC0415  requirements-postgres.txt
    except ImportError as error:
        raise CatalogError(_MISSING) from error
    return PostgresEventReader(place)


def _postgres() -> "type[PostgresCatalog]":
    try:
        from app.catalog.postgres.catalog import PostgresCatalog  # noqa: PLC0415  requirements-postgres.txt
    except ImportError as error:
        raise CatalogError(_MISSING) from error
    return PostgresCatalog
