"""The results as one JSON file and as tables in Markdown, one a part."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.gpu.plan import PARTS, Case
from benchmarks.gpu.schedule import DONE, WAITING, Record, path_of, read_record
from hllm.atomic import atomic_text
from hllm.evaluation.markdown import markdown_table


def write_report(cases: Sequence[Case], folder: Path) -> str:
    """Write results.json and results.md into the folder; return the latter's text."""
    records = [
        (case, read_record(path_of(folder, case)) or Record(WAITING, "was not asked for"))
        for case in cases
    ]
    values = [{"part": case.part, "case": case.name} | asdict(record) for case, record in records]
    with atomic_text(folder / "results.json") as file:
        file.write(json.dumps({"cases": values}, indent=1, ensure_ascii=False) + "\n")
    machines = sorted({record.machine for _, record in records} - {""})
    text = "\n".join([*(f"{machine}\n" for machine in machines), *_parts(records)])
    with atomic_text(folder / "results.md") as file:
        file.write(text + "\n")
    return text


def _parts(records: Sequence[tuple[Case, Record]]) -> list[str]:
    lines = []
    for part, title in PARTS.items():
        own = [(case, record) for case, record in records if case.part == part]
        if not own:
            continue
        lines += [f"## {title}", ""]
        rows = [{"case": case.name} | row for case, record in own for row in record.rows]
        if rows:
            header = list(dict.fromkeys(name for row in rows for name in row))
            table = [[_cell(row.get(name)) for name in header] for row in rows]
            lines += [markdown_table(header, table), ""]
        open_cases = [
            f"- {case.name}: {record.status}: {record.reason}"
            for case, record in own
            if record.status != DONE
        ]
        lines += [*open_cases, ""] if open_cases else []
    return lines


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/")
