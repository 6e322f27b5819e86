import json

from benchmarks.gpu.plan import Case
from benchmarks.gpu.report import write_report
from benchmarks.gpu.schedule import DONE, FAILED, Record, path_of, write_record

CASES = [Case("load", "a", 1), Case("load", "b", 1), Case("click", "c", 1)]


def test_tables_and_json_hold_every_case_with_its_numbers_or_its_reason(tmp_path):
    rows = [{"layers": 22, "s": 0.51234}, {"layers": 1234, "MiB": 1234.5}]
    write_record(path_of(tmp_path, CASES[0]), Record(DONE, rows=rows, machine="machine: X"))
    write_record(path_of(tmp_path, CASES[1]), Record(FAILED, "no memory", machine="machine: X"))
    text = write_report(CASES, tmp_path)
    assert (tmp_path / "results.md").read_text() == text + "\n"
    assert text.count("machine: X") == 1
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["case", "layers", "s", "MiB"] in lines
    assert ["a", "22", "0.512", "-"] in lines
    assert ["a", "1,234", "-", "1,234"] in lines
    assert "- b: failed: no memory" in text
    assert "- c: waiting: was not asked for" in text
    values = json.loads((tmp_path / "results.json").read_text())["cases"]
    assert [value["case"] for value in values] == ["a", "b", "c"]
    assert values[0]["rows"] == rows
    assert values[1]["reason"] == "no memory"
