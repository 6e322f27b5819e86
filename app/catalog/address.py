"""Where a catalogue is: a file, or the address of a PostgreSQL database that replicas share.

An address holds no password: it would be read in a list of processes, in logs and on pages. libpq
finds it itself, in PGPASSWORD or in the file of PGPASSFILE (~/.pgpass).
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

SCHEMES = ("postgresql", "postgres")
# How to connect, and nothing that would be an option of the server.
_PARAMETERS = frozenset(("host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey"))


@dataclass(frozen=True)
class Address:
    """The address of a PostgreSQL database, as libpq takes it; without a password."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """Name of the database, for names of files and for people."""
        return urlsplit(self.url).path.strip("/") or "postgresql"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Check an address.

        The scheme may be in capitals, as RFC 3986 has it.

        Raises:
            ValueError: it holds a password, or is none; it is not repeated, so as not to be shown.
        """
        parts = urlsplit(text)
        if parts.password is not None or "password" in dict(parse_qsl(parts.query)):
            raise ValueError(
                "the address of a catalogue must not hold the password, which others could read: "
                "put it into PGPASSWORD, or into the file that PGPASSFILE names (~/.pgpass)"
            )
        unknown = sorted({key for key, _ in parse_qsl(parts.query)} - _PARAMETERS)
        is_whole = "://" in text and parts.path.strip("/") and not parts.fragment
        if parts.scheme not in SCHEMES or not is_whole or unknown:
            raise ValueError(
                "the address of a catalogue is written like postgresql://user@host:5432/database; "
                f"behind ? may stand {', '.join(sorted(_PARAMETERS))}"
            )
        return cls(parts.scheme + text[len(parts.scheme) :])  # libpq knows it in lower case only


Place = Path | Address


def is_address(text: str) -> bool:
    """Whether a text is to be taken for an address, and not for the name of a file."""
    return text.lower().startswith(tuple(f"{scheme}:" for scheme in SCHEMES))


def place_of(text: str) -> Place:
    """The file or the database that a text names.

    Raises:
        argparse.ArgumentTypeError: it is an address that cannot be taken.
    """
    if not is_address(text):
        return Path(text)
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
