import argparse
from pathlib import Path

import pytest

from app.catalog.address import Address
from app.option_values import BOOKS, Chosen, catalog_choice, catalog_names, catalog_place

DATABASE = "postgresql://hllm@db.example.org/games"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (BOOKS, Chosen(None)),
        ("games.db", Chosen(Path("games.db"))),
        ("games.db=runs/games", Chosen(Path("games.db"), Path("runs/games"))),
        (DATABASE, Chosen(Address(DATABASE))),
        (f"{DATABASE}=runs/games", Chosen(Address(DATABASE), Path("runs/games"))),
        (f"{DATABASE}?sslmode=require", Chosen(Address(f"{DATABASE}?sslmode=require"))),
        (
            f"{DATABASE}?port=1&sslmode=require=runs/games",
            Chosen(Address(f"{DATABASE}?port=1&sslmode=require"), Path("runs/games")),
        ),
    ],
)
def test_a_catalogue_and_its_model(text, chosen):
    assert catalog_choice(text) == chosen


def test_a_model_in_front_of_parameters_is_told_where_it_belongs():
    with pytest.raises(argparse.ArgumentTypeError, match="behind the parameters"):
        catalog_choice(f"{DATABASE}=runs/games?sslmode=require")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a.db, books=m,,", ["a.db", "books=m"]),
        ("postgresql://h1,h2/db", ["postgresql://h1,h2/db"]),
        ("books, POSTGRES://u@h:1,i:2/d=m,a", ["books", "POSTGRES://u@h:1,i:2/d=m", "a"]),
        ("postgres:///d?host=h%2Ci,postgres://h/e", ["postgres:///d?host=h%2Ci", "postgres://h/e"]),
        (" ", []),
    ],
)  # fmt: skip
def test_commas_stand_between_catalogues_or_between_hosts(text, names):
    assert catalog_names(text) == names


@pytest.mark.parametrize("text", ["=runs/games", "games.db=", "postgresql://me:secret@h/games"])
def test_what_cannot_be_one_is_an_error_that_tells_no_password(text):
    with pytest.raises(argparse.ArgumentTypeError) as error:
        catalog_choice(text)
    assert "secret" not in str(error.value)


def test_a_file_whose_name_looks_like_both_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.db").touch()
    assert catalog_choice("a=b.db") == Chosen(Path("a=b.db"))
    assert catalog_place("a=b.db") == Path("a=b.db")
