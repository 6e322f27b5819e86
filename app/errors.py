"""Errors of the catalogue and the importers, in the same one-sentence style as hllm.errors."""

from hllm.errors import HLLMError


class CatalogError(HLLMError):
    """A catalogue database is missing, corrupt, of a newer version, or not writable."""


class AwayError(CatalogError):
    """A database that replicas share cannot be reached now; it may be in a moment."""


class IngestError(HLLMError):
    """An import cannot go on; the message names the file, the line and the remedy."""


class DownloadError(HLLMError):
    """A file that was asked for by name could not be fetched; what came of it may be kept."""


class WrongFileError(DownloadError):
    """What came is not the file that should come: nothing of it is kept."""


class RefusedError(Exception):
    """A request that is not answered: its HTTP status and one sentence for the sender."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
