"""Errors that a person can act on: each message is one sentence that says what to do next."""

from collections.abc import Iterable


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
