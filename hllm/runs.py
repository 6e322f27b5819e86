"""Compare training runs: options that differ, metrics and time, in one table.

    python -m hllm.runs runs --sort test:ndcg@10 --format html --output runs.html

Reads what hllm.train and hllm.evaluate (its --output RUN/results.json) leave in a run's folder.
"""

import dataclasses
import html
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hllm.atomic import atomic_text
from hllm.errors import DataError
from hllm.evaluation.markdown import markdown_table
from hllm.evaluation.run_records import RunRecord, find_runs
from hllm.shell import CommandParser, command

METRICS = ("valid:recall@10", "valid:ndcg@10", "test:recall@10", "test:ndcg@10")
UNKNOWN = "-"
_PARTS: dict[str, Callable[[RunRecord], Mapping[str, float]]] = {
    "valid": lambda run: run.valid,
    "test": lambda run: run.test,
}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1c1c1c;background:#fff}"
    "table{border-collapse:collapse}th,td{padding:.3rem .8rem;border-bottom:1px solid #ccc;"
    "text-align:right}th:first-child,td:first-child{text-align:left}"
    "@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#181818}"
    "th,td{border-color:#444}}"
)


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells as people read them; the first column is the run."""

    header: list[str]
    rows: list[list[str]]


def compare_runs(runs: Sequence[RunRecord], sort: str) -> Table:
    """Make the table.

    Args:
        runs: in any order.
        sort: "valid:" or "test:" and the name of a metric; the best comes first, runs without it
            last. It gets a column if it is none of METRICS.

    Raises:
        DataError: no run has that metric, although runs can be read.
    """
    readable = [run for run in runs if not run.problem]
    known = {f"{part}:{name}" for run in readable for part in _PARTS for name in _PARTS[part](run)}
    if known and sort not in known:
        raise DataError(f"--sort {sort}: no run has it; there are {', '.join(sorted(known))}")
    ordered = sorted(readable, key=lambda run: _rank(run, sort))
    options = differing_options(readable)
    metrics = [name for name in METRICS if name in known]
    metrics += [sort] if sort in known and sort not in metrics else []
    # Metrics of different users are not to be compared: then the table says how many they are.
    users = ["test users"] if len({r.test_users for r in readable if r.test_users}) > 1 else []
    header = ["run", *options, "steps", "best step", *metrics, *users, "time"]
    rows = [_row(run, options, metrics, bool(users)) for run in ordered]
    if problems := [run for run in runs if run.problem]:
        header.append("problem")
        rows = [[*row, ""] for row in rows]
        blank = [UNKNOWN] * (len(header) - 2)
        rows += [[_plain(str(run.folder)), *blank, _plain(run.problem)] for run in problems]
    return Table(header, rows)


def differing_options(runs: Sequence[RunRecord]) -> list[str]:
    """Names of the options that are not the same in all runs; the output is the run itself."""
    names = dict.fromkeys(name for run in runs for name in run.options)
    return [
        name
        for name in names
        if name != "output" and len({json.dumps(run.options.get(name)) for run in runs}) > 1
    ]


def _row(run: RunRecord, options: list[str], metrics: list[str], with_users: bool) -> list[str]:
    users = [UNKNOWN if run.test_users is None else f"{run.test_users:,}"] if with_users else []
    values = [_value(run, name) for name in metrics]
    return [
        _plain(str(run.folder)),
        *(_cell(run.options.get(name)) for name in options),
        f"{run.steps:,}",
        UNKNOWN if run.best_step is None else f"{run.best_step:,}",
        *(UNKNOWN if value is None else f"{value:.4f}" for value in values),
        *users,
        _duration(run.seconds),
    ]


def _value(run: RunRecord, name: str) -> float | None:
    part, _, metric = name.partition(":")
    return _PARTS[part](run).get(metric)


def _rank(run: RunRecord, name: str) -> tuple[bool, float, str]:
    """Sorts the best first, runs without the metric last, and equal ones by name."""
    value = _value(run, name)
    return value is None, -(value or 0.0), str(run.folder)


def _cell(value: object) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, list):
        return _plain(" ".join(map(str, value)))
    return _plain(str(value))


def _plain(text: str) -> str:
    """A text of a folder's files without what moves the cursor of a terminal or breaks a row."""
    return "".join(character if character.isprintable() else " " for character in text)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def as_text(table: Table) -> str:
    """Columns with spaces between."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_markdown(table: Table) -> str:
    """A Markdown table."""
    # A cell must not end its column, nor become markup where the table is shown.
    rows = [[_escaped_markdown(cell) for cell in row] for row in table.rows]
    return markdown_table([_escaped_markdown(cell) for cell in table.header], rows)


def _escaped_markdown(text: str) -> str:
    for character in "\\|`*_[]":
        text = text.replace(character, "\\" + character)
    return html.escape(text, quote=False)


def as_html(table: Table) -> str:
    """A page of its own that loads nothing."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    body = "\n".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in table.rows
    )
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Runs</title>'
        f"<style>{_STYLE}</style>\n<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n"
        "</tbody></table></html>"
    )


def as_json(runs: Sequence[RunRecord]) -> str:
    """Everything that is known of the runs, all options included."""
    values = [dataclasses.asdict(run) | {"folder": str(run.folder)} for run in runs]
    return json.dumps(values, indent=1, ensure_ascii=False)


_FORMATS: dict[str, Callable[[Table], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "html": as_html,
}


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.runs",
        description="Compare training runs: the options that differ, the best validation, the "
        "test (python -m hllm.evaluate --output RUN/results.json), steps and time.",
        epilog="Example: python -m hllm.runs runs --sort test:ndcg@10 --format html "
        "--output runs.html",
    )
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="FOLDER", help="runs, or folders with runs below")
    add("--sort", default="valid:ndcg@10", metavar="PART:METRIC",
        help="valid or test, and a metric: best first; default: %(default)s")  # fmt: skip
    add("--format", choices=(*_FORMATS, "json"), default="text",
        help="default: text; json holds all options and metrics")  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="write to this file instead of the terminal")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.sort.partition(":")[0] not in _PARTS:
        parser.error(f"--sort {options.sort}: write valid:METRIC or test:METRIC")
    runs = find_runs(options.folders)
    if all(run.problem for run in runs):
        reasons = "; ".join(_plain(f"{run.folder}: {run.problem}") for run in runs)
        raise DataError(f"there is no run to show ({reasons}): give folders of hllm.train.")
    table = compare_runs(runs, options.sort)
    text = as_json(runs) if options.format == "json" else _FORMATS[options.format](table)
    if options.output is None:
        sys.stdout.write(text + "\n")
    else:
        with atomic_text(options.output) as file:
            file.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
