"""The table of runs: columns, order, formats, what a stranger's folder may not do, no torch."""

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hllm.errors import DataError
from hllm.evaluation.run_records import RunRecord
from hllm.runs import as_html, as_markdown, as_text, compare_runs, main

ROOT = Path(__file__).parents[2]


def record(name, ndcg, **more):
    values = {
        "options": {"output": name, "seed": 1, "learning_rate": 0.001, "text_keys": ["title"]},
        "steps": 1200,
        "best_step": 900,
        "seconds": 3723.4,
        "valid": {"ndcg@10": ndcg, "recall@10": 0.25},
    }
    return RunRecord(folder=Path(name), **values | more)


def test_shows_only_options_that_differ_and_the_best_first():
    options = {"output": "b", "seed": 1, "learning_rate": 0.01, "text_keys": ["title", "brand"]}
    table = compare_runs(
        [record("a", 0.1), record("b", 0.2, options=options), record("c", None, valid={})],
        "valid:ndcg@10",
    )
    metrics = ["valid:recall@10", "valid:ndcg@10"]
    assert table.header == [
        "run", "learning_rate", "text_keys", "steps", "best step", *metrics, "time"
    ]  # fmt: skip
    assert table.rows == [
        ["b", "0.01", "title brand", "1,200", "900", "0.2500", "0.2000", "1:02:03"],
        ["a", "0.001", "title", "1,200", "900", "0.2500", "0.1000", "1:02:03"],
        ["c", "0.001", "title", "1,200", "900", "-", "-", "1:02:03"],
    ]


def test_sorting_by_a_further_metric_shows_it():
    runs = [record("a", 0.2, test={"recall@50": 0.1}), record("b", 0.1, test={"recall@50": 0.4})]
    table = compare_runs(runs, "test:recall@50")
    assert [row[0] for row in table.rows] == ["b", "a"]
    assert [row[table.header.index("test:recall@50")] for row in table.rows] == ["0.4000", "0.1000"]
    with pytest.raises(DataError, match=r"test:ndcg@5: no run has it; there are test:recall@50, v"):
        compare_runs(runs, "test:ndcg@5")


def test_says_how_many_users_were_tested_where_they_differ():
    runs = [record("a", 0.2, test_users=100), record("b", 0.1, test_users=20_000)]
    table = compare_runs(runs, "valid:ndcg@10")
    assert [row[table.header.index("test users")] for row in table.rows] == ["100", "20,000"]
    same = compare_runs([runs[0], record("b", 0.1, test_users=100)], "valid:ndcg@10")
    assert "test users" not in same.header


def test_a_run_that_cannot_be_read_is_a_row_with_the_reason():
    table = compare_runs(
        [RunRecord(folder=Path("x"), problem="damaged"), record("a", 0.1)], "valid:ndcg@10"
    )
    assert table.header[-1] == "problem"
    assert [(row[0], row[-1]) for row in table.rows] == [("a", ""), ("x", "damaged")]
    assert {len(row) for row in table.rows} == {len(table.header)}


HOSTILE = "<script>alert(1)</script>|\x1b[2J\n&"


def hostile_table():
    options = [{"item_prompt": HOSTILE}, {"item_prompt": "x"}]
    return compare_runs(
        [record(f"r{i}", 0.1, options=values) for i, values in enumerate(options)], "valid:ndcg@10"
    )


class Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.cells = set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def test_html_shows_hostile_texts_as_text_and_loads_nothing():
    page = as_html(hostile_table())
    cells = Cells()
    cells.feed(page)
    assert cells.tags == {
        "html", "meta", "title", "style", "table", "thead", "tr", "th", "tbody", "td"
    }  # fmt: skip
    assert "<script>alert(1)</script>| [2J &" in cells.cells
    assert not any(word in page for word in ("http:", "https:", "src=", "url("))


def test_text_and_markdown_keep_their_rows():
    text, markdown = as_text(hostile_table()), as_markdown(hostile_table())
    assert "\x1b" not in text + markdown
    assert len(text.splitlines()) == 3
    lines = markdown.splitlines()
    assert len(lines) == 4
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "<script>" not in markdown


@pytest.fixture
def runs(tmp_path):
    for name, rate, ndcg in (("a", 0.1, 0.25), ("b", 0.2, 0.5)):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "train.json").write_text(json.dumps({"learning_rate": rate}))
        line = {"kind": "valid", "step": 3, "ndcg@10": ndcg, "recall@10": 1.0, "seconds": 61.0}
        (folder / "log.jsonl").write_text(json.dumps(line) + "\n")
    return tmp_path / "runs"


def test_command_prints_and_writes(runs, tmp_path, capsys):
    assert main([str(runs)]) == 0
    header, best, other = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["run", "learning_rate"]
    assert best.split() == [str(runs / "b"), "0.2", "3", "3", "1.0000", "0.5000", "0:01:01"]
    assert other.split()[0] == str(runs / "a")
    output = tmp_path / "runs.html"
    assert main([str(runs), "--format", "html", "--output", str(output)]) == 0
    assert output.read_text().startswith("<!doctype html>")
    assert main([str(runs), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(run["options"], run["valid"]["ndcg@10"]) for run in found] == [
        ({"learning_rate": 0.1}, 0.25),
        ({"learning_rate": 0.2}, 0.5),
    ]


def test_nothing_to_show_is_one_sentence(tmp_path, caplog):
    assert main([str(tmp_path / "none")]) == 2
    assert len(caplog.messages) == 1
    assert "no such folder" in caplog.messages[0]


def test_comparing_imports_no_model_library():
    code = "import sys, hllm.runs; print({'torch', 'transformers', 'pandas'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
