"""The one reader of csv files, for training and importing: strict, and in constant memory.

A row that does not fit its header, a quote that is never closed, and bytes that are not text are
told with their line; nothing is shifted, merged or swallowed.
"""

import argparse
import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import NamedTuple

from hllm.errors import DataError
from hllm.textfile import MAX_LINE_CHARS, Block, Line, check_encoding, read_blocks
from hllm.times import parse_timestamp

# A quoted cell that runs over more is a quote that was never closed.
MAX_ROW_LINES = 1_000
MAX_ROW_CHARS = 4 * 2**20
MAX_COLUMNS = 5_000
_AT_END = "unexpected end of data"  # of csv.Error, where a file ends inside quotes
MISSING = r"\N"  # how databases export a missing value
AUTO = "auto"
_TAB_ENDINGS = (".tsv", ".tab", ".inter", ".item")
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", "::": "'::'", ",": "commas"}
# csv.reader splits at one character only. No text that was decoded holds half a surrogate pair.
_TWO_CHARS = "\ud800"
# Headers of RecBole's atomic files name the type, too: "item_id:token".
_TYPED_NAME = re.compile(r"(.+):(?:token|float)(?:_seq)?")
csv.field_size_limit(MAX_LINE_CHARS)


@dataclass(frozen=True)
class CsvFormat:
    r"""How a csv file is written.

    Attributes:
        encoding: see textfile.read_lines.
        delimiter: one or two characters; "": a tab in files named .tsv, .tab, .inter or .item,
            else ",".
        quote: one character around cells that hold a delimiter; "": there is none, and every quote
            is text.
    """

    encoding: str = ""
    delimiter: str = ""
    quote: str = '"'

    @classmethod
    def parse(cls, delimiter: str, quote: str, encoding: str) -> "CsvFormat":
        """Read the options of a command line, which add_csv_options explains.

        Raises:
            DataError: one of them makes no sense.
        """
        delimiter = {"tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
        if delimiter != AUTO and not _is_sign(delimiter, 2):
            raise DataError(
                f"--delimiter {delimiter!r}: give one or two characters, tab, or {AUTO}."
            )
        if quote != "none" and not _is_sign(quote, 1):
            raise DataError(f"--quote {quote!r}: give one character, or none.")
        if quote in delimiter:
            raise DataError(
                f"--delimiter {delimiter!r} and --quote {quote!r}: give different characters."
            )
        delimiter = "" if delimiter == AUTO else delimiter
        quote = "" if quote == "none" else quote
        return cls(check_encoding(encoding), delimiter, quote)

    def delimiter_of(self, path: Path) -> str:
        """The delimiter of a file."""
        name = path.name.lower().removesuffix(".gz")
        return self.delimiter or ("\t" if name.endswith(_TAB_ENDINGS) else ",")


def _is_sign(text: str, most: int) -> bool:
    return 1 <= len(text) <= most and not {"\n", "\r"} & {*text}


DEFAULT_FORMAT = CsvFormat()
HELP = {
    "delimiter": "between cells of a csv: ';', '|', '::', tab, ...; default: auto, which is tab in "
    ".tsv, else comma",
    "quote": 'around cells that hold a delimiter; none: quotes are plain text (default: ")',
    "encoding": "of text files: latin-1, cp1252, utf-16, ... (default: UTF-8)",
}


def add_csv_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how csv files are written."""
    defaults = {"delimiter": AUTO, "quote": '"', "encoding": ""}
    for name, text in HELP.items():
        metavar = "NAME" if name == "encoding" else "CHAR"
        parser.add_argument(f"--{name}", default=defaults[name], metavar=metavar, help=text)


def looks_like_data(names: Sequence[str]) -> bool:
    """Whether a header has a number or a date for a name: the first record of a file without."""
    return any(_is_timestamp(name) for name in names)


def _is_timestamp(text: str) -> bool:
    try:
        parse_timestamp(text)
    except ValueError:
        return False
    return True


def listing(names: Sequence[str], limit: int = 40) -> str:
    """Names of columns for a message, with nothing in them that a terminal would obey."""
    shown = [name if name.isprintable() else ascii(name) for name in names[:limit]]
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return (", ".join(name[:80] for name in shown) or "none (the file is empty)") + more


class CsvRow(NamedTuple):
    """One row of a csv file: as many values as the header has names, or a problem.

    Attributes:
        line: number of its first line.
        raw: its text, for people.
    """

    line: int
    values: list[str]
    raw: str
    problem: str


class CsvTable:
    """A csv file that is being read.

    Attributes:
        names: of the columns.
        blocks: an iterator of lists of rows, many at once where that is possible; each row that
            cannot be used has a problem.
        rows: the same one by one. Use one of the two.
    """

    def __init__(
        self,
        path: str | Path,
        form: CsvFormat = DEFAULT_FORMAT,
        *,
        columns: Sequence[str] | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Open a file and read its header.

        Args:
            path: plain or gzip.
            form: how it is written.
            columns: names of the columns of a file without a header; None if it has one.
            tell: see textfile.read_lines.

        Raises:
            DataError: the file cannot be read, or has no usable header.
        """
        self._path = Path(path)
        self._delimiter = form.delimiter_of(self._path)
        self._quote = form.quote
        self.names: list[str] = []
        self._lines = _Lines(read_blocks(self._path, form.encoding, tell))
        self._reader = self._parser(self._lines)
        self.names = self._header() if columns is None else list(columns)
        self.blocks = self._blocks()
        self.rows: Iterator[CsvRow] = chain.from_iterable(self.blocks)

    def _parser(self, lines: Iterable[str]) -> Iterator[list[str]]:
        is_long = len(self._delimiter) > 1
        # Not a generator, which an error behind it would end for good.
        rows = csv.reader(
            map(self._replaced, lines) if is_long else lines,
            delimiter=self._delimiter if len(self._delimiter) == 1 else _TWO_CHARS,
            quotechar=self._quote or None,
            quoting=csv.QUOTE_MINIMAL if self._quote else csv.QUOTE_NONE,
            strict=True,
        )
        return map(self._restored, rows) if is_long and self._quote else rows

    def _replaced(self, line: str) -> str:
        return line.replace(self._delimiter, _TWO_CHARS)

    def _restored(self, values: list[str]) -> list[str]:
        """Quoted cells with the delimiter in them as they were."""
        return [value.replace(_TWO_CHARS, self._delimiter) for value in values]

    def _header(self) -> list[str]:
        row = next(self._records(), None)
        if row is None:
            raise DataError(
                f"{self._path}: cannot be read as csv: it is empty, without even a header with "
                "names of columns."
            )
        if row.problem:
            raise DataError(f"{self._path}, line {row.line}: {row.problem}.")
        names = [name.strip() for name in row.values]
        if len(names) > MAX_COLUMNS:
            raise DataError(
                f"{self._path}, line {row.line}: has {len(names):,} columns, more than "
                f"{MAX_COLUMNS:,}: check the --delimiter, or leave some out."
            )
        if typed := [found[1] for name in names if (found := _TYPED_NAME.fullmatch(name))]:
            names = typed if len(typed) == len(names) else names
        doubles = sorted({name for name in names if name and names.count(name) > 1})
        if doubles and not looks_like_data(names):
            raise DataError(
                f"{self._path}, line {row.line}: column {doubles[0]!r} is there twice: rename one."
            )
        if hint := self._other_delimiter(row.raw, len(names)):
            raise DataError(f"{self._path}, line {row.line}: {hint}.")
        return names

    def _other_delimiter(self, header: str, num_names: int) -> str:
        if num_names > 1:
            return ""
        for char, name in _SEPARATORS.items():
            if char in header and char != self._delimiter:
                option = "tab" if char == "\t" else f"'{char}'"
                return f"has one column, but {name} in it: give --delimiter {option}"
        return ""

    def _blocks(self) -> Iterator[list[CsvRow]]:
        while block := self._lines.take_block():
            rows = self._at_once(block)
            if rows is not None:
                yield rows
                continue
            self._lines.pending.extend(block.lines())
            for row in self._records():
                misfits = not row.problem and len(row.values) != len(self.names)
                yield [row._replace(problem=self._misfit(row)) if misfits else row]
                if not self._lines.pending:
                    break

    def _at_once(self, block: Block) -> list[CsvRow] | None:
        """Rows of lines that are a good record each, or empty; None if one is not.

        Gives what _records would; test_tables compares the two.
        """
        if block.problems:
            return None
        try:
            values = list(self._parser(block.texts))
        except csv.Error:
            return None
        if len(values) != len(block.texts):  # a record takes several lines
            return None
        numbers: Iterable[int] = count(block.number)
        texts = block.texts
        if set(map(len, values)) != {len(self.names)} or len(self.names) < 2:
            places = [p for p, row in enumerate(values) if len(row) > 1 or (row and row[0].strip())]
            numbers = [block.number + place for place in places]
            values, texts = [values[p] for p in places], [texts[p] for p in places]
            if any(len(row) != len(self.names) for row in values):
                return None
        return list(map(CsvRow._make, zip(numbers, values, texts, repeat(""), strict=False)))

    def _records(self) -> Iterator[CsvRow]:
        """Rows as they are written, whatever their length; empty lines are left out."""
        reader, lines = self._reader, self._lines
        while True:
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield self._broken(error)
                continue
            if len(lines.taken) > 1:
                yield self._long_record(values)
                continue
            line = lines.taken[0]
            lines.taken = []
            if line.problem:
                yield CsvRow(line.number, [], line.text, line.problem)
            elif values and (len(values) > 1 or values[0].strip()):
                yield CsvRow(line.number, values, line.text, "")

    def _long_record(self, values: list[str]) -> CsvRow:
        """A record of several lines, unless it is one line whose quote swallowed records."""
        taken = self._lines.taken
        problem = next((line.problem for line in taken if line.problem), "")
        if problem or self._look_like_records(taken[1:], len(values)):
            return self._give_back(problem or self._unclosed(taken))
        self._lines.taken = []
        return CsvRow(taken[0].number, values, "\n".join(line.text for line in taken), "")

    def _look_like_records(self, lines: Sequence[Line], num_values: int) -> bool:
        width = len(self.names)
        if num_values != width:  # the last line closes a quote that another record opened
            lines = lines[:-1]
        return (
            len(lines) > 1
            and width > 1
            and all(
                line.text.count(self._delimiter) == width - 1
                and not re.search(r"\s|^$", line.text.partition(self._delimiter)[0])
                for line in lines
            )
        )

    def _broken(self, error: csv.Error) -> CsvRow:
        """What cannot be parsed: its first line is given up, and the lines behind it are read."""
        taken = self._lines.taken
        is_open = isinstance(error, _TooLong) or _AT_END in str(error)
        if len(taken) == 1 and not is_open:
            reason = str(error).replace(_TWO_CHARS, self._delimiter)
            return self._give_back(
                f"cannot be parsed: {reason} (if quotes are plain text here, give --quote none)"
            )
        return self._give_back(self._unclosed(taken))

    def _unclosed(self, taken: Sequence[Line]) -> str:
        opened, is_open = taken[0].number, False
        for line in taken:
            if line.text.count(self._quote) % 2:
                opened = opened if is_open else line.number
                is_open = not is_open
        count = taken[-1].number - opened + 1
        return (
            f"a quote that opens in line {opened} is not closed: it takes {count:,} "
            f"line{'s' * (count != 1)} (if quotes are plain text here, give --quote none)"
        )

    def _give_back(self, problem: str) -> CsvRow:
        first, *others = self._lines.taken
        self._lines.taken = []
        self._lines.pending.extendleft(reversed(others))
        return CsvRow(first.number, [], first.text, first.problem or problem)

    def _misfit(self, row: CsvRow) -> str:
        count = len(row.values)
        problem = f"has {count} columns where the header has {len(self.names)}"
        if count == len(self.names) + 1 and not row.values[-1].strip():
            return problem + " (a delimiter at the end of the line: remove it)"
        if num_lines := row.raw.count("\n"):
            return problem + f" (a quote makes one row of {num_lines + 1:,} lines)"
        return problem


def first_values(path: str | Path, form: CsvFormat = DEFAULT_FORMAT) -> list[str]:
    """The first row of a csv file, be it a header or not; [] if there is none.

    Raises:
        DataError: the file, or its first row, cannot be read.
    """
    row = next(CsvTable(path, form, columns=()).rows, None)
    if row and not row.values:
        raise DataError(f"{path}, line {row.line}: {row.problem}.")
    return row.values if row else []


class _TooLong(csv.Error):
    """A record takes more lines than any that is meant."""


class _Lines:
    """Feeds csv.reader and remembers the lines of the record that it is reading."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self.taken: list[Line] = []
        self.pending: deque[Line] = deque()
        self._num_chars = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if self.taken:
            self._num_chars += len(self.taken[-1].text)
            if len(self.taken) >= MAX_ROW_LINES or self._num_chars > MAX_ROW_CHARS:
                raise _TooLong
        else:
            self._num_chars = 0
        if not self.pending:
            self.pending.extend(next(self._blocks).lines())
        line = self.pending.popleft()
        self.taken.append(line)
        return line.text + "\n"

    def take_block(self) -> Block | None:
        """The lines that were read and not used, or else those that follow; None at the end."""
        if not self.pending:
            return next(self._blocks, None)
        lines, self.pending = self.pending, deque()
        problems = {place: line.problem for place, line in enumerate(lines) if line.problem}
        return Block(lines[0].number, [line.text for line in lines], problems)
