"""Histories of any number of users from one csv of interactions, in bounded memory.

Rows may stand in any order. What does not fit into memory is split among temporary files by user,
so that each of them, in which all rows of its users are, does.
"""

import csv
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from hllm.errors import DataError
from hllm.tables import DEFAULT_FORMAT, MISSING, CsvFormat, CsvTable, listing
from hllm.times import Timestamp, parse_timestamp

logger = logging.getLogger(__name__)
ROWS_IN_MEMORY = 1_000_000
PARTS = 256  # 100 million rows are 400,000 a part
_NEEDED = ("user_id", "item_id")

Row = tuple[str, str, str]  # user_id, item_id, timestamp


class Histories:
    """A csv of interactions as one history per user; a context manager.

    Users come in the order of their first row; where the file does not fit into memory, part by
    part, and in that order within a part. Either order is a function of the file's content.

    Args:
        path: csv, plain or gzip, with the columns user_id and item_id, and timestamp unless the
            rows of every user are in order.
        form: how it is written.
        rows_in_memory: most rows held at once before they are split among files.

    Attributes:
        digest: names the content, whatever file holds it.
        num_rows: of the file.
        most_rows_held: at any moment so far.

    Raises:
        DataError: the file or a row of it cannot be read, with its line.
    """

    def __init__(
        self,
        path: str | Path,
        form: CsvFormat = DEFAULT_FORMAT,
        *,
        rows_in_memory: int = ROWS_IN_MEMORY,
    ) -> None:
        self._path = path
        self._rows_in_memory = rows_in_memory
        self._held: list[Row] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.num_rows = 0
        self.most_rows_held = 0
        digest = hashlib.sha256()
        try:
            for row in self._read(form):
                self.num_rows += 1
                digest.update("\0".join(row).encode("utf-8", "surrogatepass") + b"\n")
                self._held.append(row)
                if len(self._held) >= rows_in_memory:
                    self._spill()
            if self._folder:
                self._spill()
        except BaseException:
            self.close()
            raise
        self._count_held(len(self._held))
        self.digest = digest.hexdigest()
        if not self.num_rows:
            raise DataError(f"{path}: has a header but no interactions; export them again.")

    def __enter__(self) -> "Histories":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        if self._folder:
            self._folder.cleanup()

    def __iter__(self) -> Iterator[tuple[str, list[str]]]:
        """Yield user_id and item ids, oldest first; equal times keep the order of the file."""
        if not self._folder:
            yield from _by_user(self._held)
            return
        for number in range(PARTS):
            part = self._part(number)
            if part.exists():
                with part.open(encoding="utf-8", errors="surrogatepass", newline="") as file:
                    rows = [(user, item, time) for user, item, time in csv.reader(file)]
                self._count_held(len(rows))
                yield from _by_user(rows)

    def _read(self, form: CsvFormat) -> Iterator[Row]:
        table = CsvTable(self._path, form)
        names = table.names
        if absent := [name for name in _NEEDED if name not in names]:
            raise DataError(
                f"{self._path}: line 1: no column {', '.join(absent)} among {listing(names)}; the "
                "header must name user_id, item_id, and timestamp unless rows are in order."
            )
        user, item = map(names.index, _NEEDED)
        time = names.index("timestamp") if "timestamp" in names else None
        for row in table.rows:
            if row.problem:
                raise DataError(
                    f"{self._path}: line {row.line}: {row.problem}; mend or re-export the file."
                )
            values = row.values
            for name, place in zip(_NEEDED, (user, item), strict=True):
                if not values[place].strip() or values[place] == MISSING:
                    raise DataError(
                        f"{self._path}: line {row.line}: {name} is empty; correct or remove that "
                        "line."
                    )
            timestamp = "" if time is None else values[time]
            if time is not None:
                self._check_time(row.line, timestamp)
            yield values[user], values[item], timestamp

    def _check_time(self, line: int, text: str) -> None:
        try:
            parse_timestamp(text)
        except ValueError as error:
            raise DataError(
                f"{self._path}: line {line}: timestamp {error}; correct or remove that line."
            ) from error

    def _spill(self) -> None:
        """Split what is held among the files."""
        self._count_held(len(self._held))
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="hllm-histories-")
        parts: dict[int, list[Row]] = {}
        for row in self._held:
            number = crc32(row[0].encode("utf-8", "surrogatepass")) % PARTS
            parts.setdefault(number, []).append(row)
        for number, rows in parts.items():
            with self._part(number).open(
                "a", encoding="utf-8", errors="surrogatepass", newline=""
            ) as file:
                csv.writer(file).writerows(rows)
        self._held = []

    def _part(self, number: int) -> Path:
        assert self._folder
        return Path(self._folder.name) / f"{number:03d}.csv"

    def _count_held(self, count: int) -> None:
        self.most_rows_held = max(self.most_rows_held, count)


def _by_user(rows: list[Row]) -> Iterator[tuple[str, list[str]]]:
    users: dict[str, list[tuple[Timestamp, str]]] = {}
    for user, item, text in rows:
        users.setdefault(user, []).append((parse_timestamp(text) if text else 0, item))
    for user, timed in users.items():
        timed.sort(key=lambda pair: pair[0])
        yield user, [item for _, item in timed]
