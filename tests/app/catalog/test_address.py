"""Files and addresses of databases, which hold no password and no option of the server."""

import argparse
from pathlib import Path

import pytest

from app.catalog.address import Address, is_address, place_of


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db.example.org/games",
        "postgres://me@db:5432/games",
        "postgresql://me@db/games?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql:///games?host=/var/run/postgresql",
        "postgresql://a:1,b:2/games?sslmode=require",
    ],
)
def test_addresses(text):
    place = place_of(text)
    assert isinstance(place, Address) and str(place) == text and place.name == "games"


def test_a_scheme_is_one_in_capitals_too():
    assert place_of("POSTGRESQL://Me@DB/Games") == Address("postgresql://Me@DB/Games")
    assert place_of("Postgres://db/games") == Address("postgres://db/games")


@pytest.mark.parametrize("text", ["games.db", "/data/games.db", "postgres.db", "C:/games.db"])
def test_files(text):
    assert place_of(text) == Path(text) and not is_address(text)


@pytest.mark.parametrize(
    "text",
    ["postgresql://me:geheim@db/games", "postgresql://me@db/games?password=geheim", "postgres://me:@db/games"],
)  # fmt: skip
def test_a_password_is_refused_and_not_repeated(text):
    with pytest.raises(argparse.ArgumentTypeError, match="PGPASSFILE") as told:
        place_of(text)
    assert "geheim" not in str(told.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://db",
        "postgresql://db/",
        "postgresql:games",
        "postgresql://db/games?options=-csearch_path%3Dx",
        "postgresql://db/games?passfile=/etc/passwd",
        "postgresql://db/games#x",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        place_of(text)
