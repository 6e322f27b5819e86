"""Lists that were written as text: JSON, Python, NumPy, or Python whose quotes were not escaped."""

import ast
import re
from typing import Any

from hllm.schema.rules import check_depth, parse_json

MAX_CHARS = 200_000
_BETWEEN_PARTS = re.compile("['\"], ['\"]")
_QUOTED = {quote: re.compile(rf"{quote}(?:[^{quote}\\]|\\.)*{quote}", re.DOTALL) for quote in "'\""}
_OTHER = re.compile(r"array\(|,\s*dtype=object\s*\)|None|\s+|.", re.DOTALL)


def as_list(value: Any) -> list[Any] | tuple[Any, ...] | None:
    """The list that a value is, or that its text writes; None if it is not a list."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > MAX_CHARS:
        return None
    try:
        parsed = parse_json(text)
    except ValueError:
        parsed = _python_list(text)
    if not isinstance(parsed, list):
        return None
    return parsed if all(isinstance(part, str | list | None) for part in parsed) else None


def _python_list(text: str) -> Any:
    literal = _with_commas(text)
    try:
        return ast.literal_eval(check_depth(literal)) if literal else _split_list(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _split_list(text)


def _with_commas(text: str) -> str:
    """A list as Python writes it, from one of NumPy, which has blanks between its parts.

    Python would join neighbouring texts into one. Line breaks inside a text, which are not Python
    but which data sets have, are escaped. Returns "" where a quote is not closed.
    """
    tokens: list[str] = []
    position, ends_value = 0, False
    while position < len(text):
        char = text[position]
        found = (_QUOTED[char] if char in _QUOTED else _OTHER).match(text, position)
        if found is None:
            return ""
        position, token = found.end(), found[0]
        if token.isspace() or token.startswith("array(") or "dtype" in token[:8]:
            continue
        begins_value = char in "'\"[" or token == "None"
        if begins_value and ends_value:
            tokens.append(",")
        tokens.append(token.replace("\r", " ").replace("\n", r"\n"))
        ends_value = char in "'\"]" or token == "None"
    return "".join(tokens)


def _split_list(text: str) -> list[Any] | None:
    """The parts of a list whose quotes were not escaped when it was written: no Python any more."""
    if text[:2] not in ("['", '["') or text[-2:] not in ("']", '"]'):
        return None
    parts = _BETWEEN_PARTS.split(text[2:-2])
    return [part.replace("\\n", "\n").replace("\\'", "'").replace('\\"', '"') for part in parts]
