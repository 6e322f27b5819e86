"""What a value of a stranger's JSON may be: rules with a name, and reading a file within bounds.

Knows nothing of models, and imports neither torch nor transformers.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hllm.errors import CheckpointError

MAX_DEPTH = 100  # levels that brackets of a text may be nested
_OPENING = "[{("
# A string that never ends reaches to the end: each character is looked at once, whatever it is.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"?' + r"|'(?:[^'\\]++|\\.)*+'?", re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}()]")
_SHOWN = 60  # characters of a refused value that a message repeats


@dataclass(frozen=True)
class Rule:
    """What one key may hold.

    Attributes:
        allowed: what it may hold, in words, for the message.
        accepts: whether a parsed JSON value is allowed.
    """

    allowed: str
    accepts: Callable[[Any], bool]

    def optional(self) -> "Rule":
        """The same, or null."""
        return Rule(f"{self.allowed}, or null", lambda v: v is None or self.accepts(v))


def integer(low: int, high: int) -> Rule:
    """A whole number: neither 2.0 nor true."""
    return Rule(f"a whole number from {low} to {high}", lambda v: _is_int(v) and low <= v <= high)


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Rule:
    """A finite number.

    Args:
        low: smallest.
        high: largest.
        above: it must be larger than low.
        below: it must be smaller than high.
    """
    start = f"above {low:g}" if above else f"from {low:g}"
    end = f"below {high:g}" if below else f"to {high:g}"

    def accepts(value: Any) -> bool:
        return (
            # Python's JSON reads NaN and Infinity as well.
            (_is_int(value) or (type(value) is float and math.isfinite(value)))
            and (low < value if above else low <= value)
            and (value < high if below else value <= high)
        )

    return Rule(f"a number {start} {end}", accepts)


def boolean() -> Rule:
    """True or false: not 0 or 1."""
    return Rule("true or false", lambda v: type(v) is bool)


def choice(*values: Any) -> Rule:
    """One of a few constants, of the same type."""
    words = ", ".join(json.dumps(value) for value in values)
    allowed = f"one of {words}" if len(values) > 1 else words
    # Types, too: in Python, 1 == 1.0 == True.
    return Rule(allowed, lambda v: any(type(v) is type(c) and v == c for c in values))


def text(length: int = 200) -> Rule:
    """A string of at most so many characters."""
    return Rule(
        f"a text of at most {length} characters", lambda v: type(v) is str and len(v) <= length
    )


def items(rule: Rule, least: int, most: int) -> Rule:
    """A list whose values follow a rule."""
    return Rule(
        f"a list of {least} to {most} values, each {rule.allowed}",
        lambda v: type(v) is list and least <= len(v) <= most and all(map(rule.accepts, v)),
    )


def table(key: Rule, value: Rule, most: int) -> Rule:
    """An object whose keys and values follow rules."""
    return Rule(
        f"an object of at most {most} entries: {key.allowed} to {value.allowed}",
        lambda v: (
            type(v) is dict
            and len(v) <= most
            and all(key.accepts(k) and value.accepts(x) for k, x in v.items())
        ),
    )


def either(*rules: Rule) -> Rule:
    """What one of the rules accepts."""
    return Rule(
        ", or ".join(rule.allowed for rule in rules), lambda v: any(r.accepts(v) for r in rules)
    )


def _is_int(value: Any) -> bool:
    return type(value) is int  # isinstance would take a bool for an int


def check(values: Mapping[str, Any], rules: Mapping[str, Rule], place: str, remedy: str) -> None:
    """Refuse keys without a rule, and values that break theirs.

    Args:
        values: a parsed JSON object.
        rules: of all keys that there may be.
        place: file and object, for the message.
        remedy: what to do about it.

    Raises:
        CheckpointError: names the key, what it holds and what is allowed.
    """
    for key, value in values.items():
        if key not in rules:
            raise CheckpointError(
                f"{place}: {shown(key)} is not a key that a model folder may hold; {remedy}."
            )
        if not rules[key].accepts(value):
            raise CheckpointError(
                f"{place}: {key} is {shown(value)}, but must be {rules[key].allowed}; {remedy}."
            )


def require(values: Mapping[str, Any], keys: tuple[str, ...], place: str, remedy: str) -> None:
    """Refuse an object that lacks keys.

    Raises:
        CheckpointError: names the first that is missing.
    """
    for key in keys:
        if key not in values:
            raise CheckpointError(f"{place}: {key} is missing; {remedy}.")


def shown(value: Any) -> str:
    """A value in one short line, whatever it is."""
    words = json.dumps(value, default=repr)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}..."


def one_line(error: BaseException) -> str:
    """What an error says, for a message of ours: one line, not too long."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]}..."


def check_depth(text: str, most: int = MAX_DEPTH) -> str:
    """The same text, JSON or a Python literal, unless its brackets are nested too deeply.

    Asked before a parser sees it: one that recurses until Python stops it leaves no room for what
    Python itself may have to call there, such as a finalizer, whose error nobody can catch.

    Raises:
        ValueError: they are; brackets in strings do not count.
    """
    if sum(map(text.count, _OPENING)) > most:
        depth = 0
        for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
            depth += 1 if bracket in _OPENING else -1
            if depth > most:
                raise ValueError(f"nested deeper than {most} levels")
    return text


def parse_json(text: str) -> Any:
    """What the JSON of anybody says.

    Raises:
        ValueError: it is not JSON, or nested too deeply.
    """
    return json.loads(check_depth(text))


def read_object(path: Path, most_bytes: int) -> dict[str, Any]:
    """Read a JSON object from a file that anybody may have written.

    Args:
        path: the file.
        most_bytes: a larger one is not read.

    Raises:
        ValueError: too large, not JSON, nested too deeply, or not an object.
        OSError: it cannot be read.
    """
    if path.stat().st_size > most_bytes:
        raise ValueError(f"it is larger than {most_bytes // 1000} kB")
    values = parse_json(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError("it does not hold a JSON object")
    return values


def read_config(folder: str | Path, max_bytes: int, wanted: str) -> tuple[Path, dict[str, Any]]:
    """Read config.json of a folder, unchecked.

    Args:
        folder: that should hold it.
        max_bytes: that it may have.
        wanted: what the folder should hold, for the message.

    Returns:
        Its path, and what it says.

    Raises:
        CheckpointError: missing or unreadable.
    """
    path = Path(folder) / "config.json"
    try:
        return path, read_object(path, max_bytes)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({one_line(error)}): give the folder that holds {wanted}."
        ) from error
