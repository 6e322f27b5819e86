"""The command that backs a catalogue up: what it says, and how it fails."""

import pytest

from app.catalog import Catalog, CatalogItem
from app.catalog.__main__ import main
from app.catalog.opening import open_catalog

URL = "postgresql://hllm@db.example.org/games"


def test_backup_says_what_was_written(tmp_path, capsys):
    Catalog.create(tmp_path / "c.db", "Films").close()
    assert main(["backup", str(tmp_path / "c.db"), str(tmp_path / "copy.db")]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "copy.db") in said and "whole" in said


def test_a_catalogue_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert main(["backup", str(tmp_path / "no.db"), str(tmp_path / "copy.db")]) == 2
    assert "There is no catalogue" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words", [["backup", URL, "x.db"], ["backup", "x.db", URL], ["copy", URL, URL]]
)
def test_a_database_in_the_place_of_a_file_is_said(capsys, words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "must be a file; of a database pg_dump" in capsys.readouterr().err


def test_copy_fills_a_database(tmp_path, database, capsys):
    with Catalog.create(tmp_path / "c.db") as catalog:
        catalog.add_items([CatalogItem(item_id="a"), CatalogItem(item_id="b")])
    assert main(["copy", str(tmp_path / "c.db"), database.url]) == 0
    assert capsys.readouterr().out == f"{database}: 2 items, whole\n"
    with open_catalog(database) as copy:
        assert copy.num_items == 2


@pytest.mark.parametrize(
    ("target", "said"),
    [("c2.db", "no address of a PostgreSQL database"), ("postgresql://u:geheim@h/d", "PGPASSFILE")],
)
def test_copy_says_what_is_no_target(tmp_path, capsys, target, said):
    try:
        code = main(["copy", str(tmp_path / "c.db"), target])
    except SystemExit as exit_:
        code = exit_.code
    told = capsys.readouterr().err
    assert code and said in told and "geheim" not in told
