"""Writes csv files, and counts the cells that a spreadsheet would take for formulas."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from app.spreadsheet import harmless, is_formula
from hllm.atomic import atomic_text


class CsvWriter:
    """Writes csv files; an interrupted one leaves an older file of that name untouched.

    Args:
        escapes: put an apostrophe before what looks like a formula.

    Attributes:
        formulas: how many cells looked so.
    """

    def __init__(self, *, escapes: bool) -> None:
        self._escapes = escapes
        self.formulas = 0

    def __call__(self, path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
        """Write a file; returns how many rows it has below its header."""
        count = 0
        with atomic_text(path) as file:
            writer = csv.writer(file)
            writer.writerow([self._cell(name) for name in header])
            for row in tqdm(rows, desc=path.name, unit="rows", unit_scale=True, disable=None):
                writer.writerow([self._cell(value) for value in row])
                count += 1
        return count

    def _cell(self, value: object) -> object:
        self.formulas += is_formula(value)
        return harmless(value) if self._escapes else value
