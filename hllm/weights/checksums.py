"""Checksums of tensors, in the metadata of the safetensors file that holds them.

safetensors notices a file that is cut off, but not numbers that have changed on the disk.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

UNKNOWN = "0" * 64  # placeholder for the digest of a tensor that is not written yet
_METADATA_KEY = "sha256"
Digests = Mapping[str, str]


class ChecksumError(Exception):
    """A file holds other numbers than were written; whoever opened the file adds its name."""


class TensorDigest:
    """SHA-256 of a tensor that is given in parts, its dtype and shape included.

    Args:
        dtype: of the tensor as it is stored.
        shape: of the whole tensor.
    """

    def __init__(self, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
        # The header of a file may be damaged, too, and then describe the same bytes otherwise.
        self._digest = hashlib.sha256(f"{dtype}{tuple(shape)}".encode())

    def update(self, part: Tensor) -> None:
        """Add the next elements in memory order."""
        # Bytes, not numbers: NumPy knows neither bfloat16 nor float8. Nothing is copied.
        self._digest.update(part.contiguous().reshape(-1).view(torch.uint8).numpy().data)

    def hexdigest(self) -> str:
        """64 hex digits."""
        return self._digest.hexdigest()


def digest_of(tensor: Tensor) -> str:
    """SHA-256 of one tensor: 64 hex digits."""
    digest = TensorDigest(tensor.dtype, tuple(tensor.shape))
    digest.update(tensor)
    return digest.hexdigest()


def digests_to_metadata(digests: Digests) -> dict[str, str]:
    """The entry of safetensors metadata that keeps digests by name of the tensor."""
    # A JSON text, as values of this metadata must be strings.
    return {_METADATA_KEY: json.dumps(dict(digests), separators=(",", ":"))}


def checksum_metadata(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The entry of safetensors metadata for these tensors."""
    return digests_to_metadata({name: digest_of(value) for name, value in tensors.items()})


def stored_digests(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Digests by name of the tensor; empty for a file that was written without checksums.

    Raises:
        ChecksumError: the entry is not such a table.
    """
    try:
        digests = json.loads((metadata or {}).get(_METADATA_KEY, "{}"))
    except ValueError as error:
        raise ChecksumError("its checksums cannot be read") from error
    if not isinstance(digests, dict):
        raise ChecksumError("its checksums are not a table")
    return digests


def check_digest(name: str, tensor: Tensor, digests: Digests) -> None:
    """Compare a tensor with its stored digest, if there is one.

    Raises:
        ChecksumError: they differ.
    """
    if name in digests and digest_of(tensor) != digests[name]:
        raise ChecksumError(f"the numbers of {name} have changed since they were written")


class VerifiedFile:
    """A safetensors file whose tensors are compared with their checksums when they are read.

    Args:
        file: an open safetensors.safe_open; a file written without checksums is read as it is.

    Raises:
        ChecksumError: the table of the checksums is damaged.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._digests = stored_digests(file.metadata())

    def get_slice(self, name: str) -> Any:
        """Dtype and shape of a tensor, without reading it."""
        return self._file.get_slice(name)

    def get_tensor(self, name: str) -> Tensor:
        """Read a tensor.

        Raises:
            ChecksumError: its numbers have changed since they were written.
        """
        tensor = self._file.get_tensor(name)
        check_digest(name, tensor, self._digests)
        return tensor
