"""What the summary of an import says: what stayed out, and why."""

from app.catalog import Catalog
from tests.app.ingest.imports import import_pair


def test_unknown_items_are_counted_and_come_in_later(files, capsys):
    lines = files["items"].read_text().splitlines()
    files["items"].write_text("\n".join(lines[:26]) + "\n")
    assert import_pair(files) == 0
    assert "150 left out because their item is not in the catalogue" in capsys.readouterr().out
    files["items"].write_text("\n".join(lines) + "\n")
    assert import_pair(files) == 0
    assert Catalog.open(files["catalog"]).count_interactions() == (300, 7)


def test_ids_that_do_not_meet_are_told(files, capsys):
    assert import_pair(files, rows=["i1,u,1", "x9,u,2"]) == 0
    said = capsys.readouterr().out
    assert "1 left out because their item is not in the catalogue" in said
    assert "(50.0% of interactions.csv; items 'x9')" in said
    assert import_pair(files, rows=["1.0,u,1", "2.0,u,2"]) == 2
    error = capsys.readouterr().err
    assert "none of its 2 interactions names an item" in error
    assert "'1.0', '2.0'" in error and "'i1'" in error


def test_repeated_item_ids_are_named(files, capsys, monkeypatch):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 3, "interactions": 3})
    text = files["items"].read_text() + "i2,Other,\n"
    files["items"].write_text(text)
    for _ in range(2):
        assert import_pair(files, rows=["i1,u,1"]) == 0
        out = capsys.readouterr().out
        assert "1 records have an item id that their file had before" in out
        assert "'i2' (lines 4 and 52)" in out
    with Catalog.open(files["catalog"]) as catalog:
        assert catalog.get(["i2"])["i2"].title == "Other"
