"""Errors that a person can act on: each message is one sentence that says what to do next."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST_NEAR = 3
FEWEST_SHARED = 3  # characters that make a name one that a longer one holds


class HLLMError(Exception):
    """Base of all errors that are shown to a user as they are, without a traceback."""


class CheckpointError(HLLMError):
    """A model folder or weight file is missing, corrupt or of another kind."""


class MissingWeightsError(CheckpointError):
    """Weights that come as a Python package are not installed; the message names the command."""


class StaleEmbeddingsError(HLLMError):
    """Stored item embeddings belong to another model or to older item texts."""


class UnknownItemError(HLLMError):
    """A history names an item that the index has no embedding for."""


class DataError(HLLMError):
    """A data file is missing or malformed; the message names file, line and remedy."""


class TrainingError(HLLMError):
    """Training has diverged; nothing of it was saved since the last state."""


class StorageError(HLLMError, OSError):
    """The disk is full. An OSError as well, for callers that can do without the file."""


def shortened(names: Iterable[str]) -> str:
    """The first three names and how many more there are, for a message."""
    names = list(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) + more) or "none"


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The known names that a misspelt one may have meant, the likeliest first; [] for none.

    Case, spaces, hyphens, underscores and dots do not count. A name that nothing resembles may
    still be a part of some.

    Args:
        name: what somebody wrote.
        known: what could have been written.
    """
    by_key: dict[str, str] = {}
    for one in known:
        by_key.setdefault(_folded(one), one)
    wanted = _folded(name[:100])
    if wanted in by_key:
        return [by_key[wanted]]
    keys = get_close_matches(wanted, by_key, MOST_NEAR)
    if not keys and len(wanted) >= FEWEST_SHARED:
        keys = [key for key in by_key if wanted in key][:MOST_NEAR]
    return [by_key[key] for key in keys]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The same for a message, behind what was written: " (did you mean a or b?)", "" for none."""
    names = either(nearest(name, known))
    return f" (did you mean {names}?)" if names else ""


def either(names: Sequence[str]) -> str:
    """Names to choose from, in words: "a, b or c"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def _folded(name: str) -> str:
    return re.sub(r"[\s_.-]+", "-", name.strip().casefold())
