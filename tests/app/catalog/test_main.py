"""The command that backs a catalogue up: what it says, and how it fails."""

from app.catalog import Catalog
from app.catalog.__main__ import main


def test_backup_says_what_was_written(tmp_path, capsys):
    Catalog.create(tmp_path / "c.db", "Films").close()
    assert main(["backup", str(tmp_path / "c.db"), str(tmp_path / "copy.db")]) == 0
    said = capsys.readouterr().out
    assert str(tmp_path / "copy.db") in said and "whole" in said


def test_a_catalogue_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert main(["backup", str(tmp_path / "no.db"), str(tmp_path / "copy.db")]) == 2
    assert "There is no catalogue" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
