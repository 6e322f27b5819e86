"""Cells that a spreadsheet takes for formulas are counted, and escaped where that is asked."""

import csv

import pytest

from app.csv_writer import CsvWriter

ROWS = [["=1+1", "-5", "@x", "+x", "plain", 7, None], ["-x", "-1e3", "\tx", "a=b", "'", 1.5, ""]]


@pytest.mark.parametrize("escapes", [False, True])
def test_formulas_are_counted_and_escaped_on_request(tmp_path, escapes):
    write = CsvWriter(escapes=escapes)
    assert write(tmp_path / "x.csv", ["=a", *"bcdefg"], ROWS) == 2
    assert write.formulas == 6  # numbers are none
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        header, first, second = csv.reader(file)
    sign = "'" if escapes else ""
    assert header[0] == f"{sign}=a"
    assert first == [f"{sign}=1+1", "-5", f"{sign}@x", f"{sign}+x", "plain", "7", ""]
    assert second == [f"{sign}-x", "-1e3", f"{sign}\tx", "a=b", "'", "1.5", ""]


def test_what_stops_halfway_leaves_the_older_file(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("older", encoding="utf-8")

    def rows():
        yield ["a"]
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        CsvWriter(escapes=False)(path, ["a"], rows())
    assert path.read_text(encoding="utf-8") == "older"
