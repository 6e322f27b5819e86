"""The command around the import: nothing is written that was not asked for."""

from tests.app.ingest.imports import import_pair


def test_dry_run_writes_nothing(files, capsys):
    before = sorted(files["items"].parent.iterdir())
    assert import_pair(files, "--dry-run") == 0
    assert sorted(files["items"].parent.iterdir()) == before
    assert "Dry run: nothing was written" in capsys.readouterr().out


def test_not_a_catalogue(files, capsys):
    files["catalog"].write_text("something else")
    assert import_pair(files) == 2
    assert "is not a catalogue" in capsys.readouterr().err
    assert files["catalog"].read_text() == "something else"
