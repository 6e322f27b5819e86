"""What the values of the app's options mean, one at a time."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

from app.catalog.address import SCHEMES, Place, is_address, place_of

BOOKS = "books"  # the built-in catalogue
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
# Of several catalogues: in front of a database's name stand commas between hosts.
_NAMES = re.compile(rf"(?:\s*(?:{'|'.join(SCHEMES)})://[^/?]*)?[^,]*", re.IGNORECASE)
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


@dataclass(frozen=True)
class Chosen:
    """A catalogue as it is named: its place, None for the built-in books; and its model, if any."""

    catalog: Place | None
    model: Path | None = None


def catalog_place(name: str) -> Place | None:
    """The file or database of a catalogue that somebody names; None: the built-in books.

    Raises:
        argparse.ArgumentTypeError: see app.catalog.address.place_of.
    """
    return None if name == BOOKS else place_of(name)


def catalog_choice(text: str) -> Chosen:
    """A catalogue, or one with the folder of its model behind "=".

    In an address the model stands last, behind the value of the last parameter if there are any.

    Raises:
        argparse.ArgumentTypeError: one side of "=" is empty, or it is an address that cannot be
            taken.
    """
    if not _has_model(text) or Path(text).is_file():
        return Chosen(catalog_place(text))
    name, _, model = text.rpartition("=")
    if not name or not model:
        raise argparse.ArgumentTypeError(f"{text!r} must be a catalogue, or CATALOGUE=MODEL")
    return Chosen(catalog_place(name), Path(model))


def catalog_names(text: str) -> list[str]:
    """Catalogues with commas between; those between the hosts of an address are the address's."""
    return [name.strip() for name in _NAMES.findall(text) if name.strip()]


def _has_model(text: str) -> bool:
    """Whether something stands behind a "=" that is not the one of a parameter."""
    address, _, parameters = text.partition("?")
    if not is_address(text) or not parameters:
        return "=" in text
    if "=" in address:
        raise argparse.ArgumentTypeError(
            "the model of a catalogue stands behind the parameters of its address: "
            "postgresql://user@host/database?sslmode=require=MODEL"
        )
    return parameters.rpartition("&")[2].count("=") > 1


def host_names(text: str) -> tuple[str, ...]:
    """Names of hosts, separated by commas.

    Raises:
        argparse.ArgumentTypeError: one is an address of a page, or has a port.
    """
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise argparse.ArgumentTypeError(
                f"{name!r} is not the name of a host: write it like hllm.example.org, without "
                "http://, port and path"
            )
    return names


def folder_names(text: str) -> tuple[Path, ...]:
    """Folders, with commas between."""
    return tuple(Path(name.strip()) for name in text.split(",") if name.strip())


def yes_or_no(word: str) -> bool:
    """Whether something is wanted.

    Raises:
        argparse.ArgumentTypeError: the word says neither.
    """
    if word.lower() in (*YES, *NO):
        return word.lower() in YES
    raise argparse.ArgumentTypeError(f"{word!r} is neither yes nor no")
