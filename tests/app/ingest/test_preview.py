"""What an import says before it writes: what it found, how much, and one record."""

from tests.app.ingest.imports import import_pair


def test_says_what_it_found_before_writing(files, capsys):
    assert import_pair(files) == 0
    out = capsys.readouterr().out
    found, _, done = out.partition("items.csv: 50 items in")
    assert "items.csv: 50 items\n" in found and "interactions.csv: 300 interactions" in found
    assert "item_id 100%, title 100%" in found
    assert "title: Title 0" in found and "user_id: u0" in found
    assert "50 added, 0 updated" in done and "300 added, 0 already there" in done


def test_estimate_of_rows(files, capsys):
    rows = [f"i{n},Title {n},Text {n}" for n in range(100_000)]
    files["items"].write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    assert import_pair(files, "--dry-run") == 0
    estimate = capsys.readouterr().out.split("items.csv: about ")[1].split(" items")[0]
    assert 90_000 < int(estimate.replace(",", "")) < 110_000
