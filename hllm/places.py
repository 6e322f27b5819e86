"""Files in a folder or an object store: opened, listed and written by one address.

A path of this machine, or an address such as s3://bucket/items, gs://..., hdfs://...; what pyarrow
itself does not know is asked of fsspec (abfs://, hf://, ...), whose package for it must be there.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.fs as pafs

from hllm.errors import DataError

_PARTIAL = ".partial"


@dataclass(frozen=True)
class Place:
    """A file or folder.

    Attributes:
        address: as it was given, a path of this machine from its root.
        files: the file system that it is on.
        path: where it is on that file system.
    """

    address: str
    files: pafs.FileSystem
    path: str

    @classmethod
    def of(cls, address: str) -> "Place":
        """Find the file system of an address; nothing is read yet.

        Raises:
            DataError: no package that is installed knows such addresses.
        """
        scheme, separator, _ = address.partition("://")
        try:
            if not separator:
                path = os.path.abspath(address)  # also for processes that work elsewhere
                return cls(path, pafs.LocalFileSystem(), path)
            with suppress(pa.ArrowInvalid):  # an address that pyarrow does not know
                return cls(address, *pafs.FileSystem.from_uri(address))
            files, path = fsspec.core.url_to_fs(address)
            return cls(address, pafs.PyFileSystem(pafs.FSSpecHandler(files)), path)
        except (ImportError, ValueError, OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(
                f"{address}: addresses that begin with {scheme}:// cannot be opened here "
                f"({reason}): give a path, s3:// or gs://, or install fsspec's package for it."
            ) from error

    def child(self, name: str) -> "Place":
        """A file in this folder."""
        return Place(f"{self.address.rstrip('/')}/{name}", self.files, f"{self.path}/{name}")

    def info(self) -> pafs.FileInfo:
        """Kind, size and time; the kind is NotFound where there is nothing.

        Raises:
            DataError: the file system does not answer.
        """
        with self.errors():
            return self.files.get_file_info(self.path)

    def listed(self) -> list[pafs.FileInfo]:
        """All files of this folder and those below it, in order of their paths; [] if missing.

        Raises:
            DataError: the file system does not answer.
        """
        with self.errors():
            selector = pafs.FileSelector(self.path, recursive=True, allow_not_found=True)
            found = self.files.get_file_info(selector)
        return sorted((f for f in found if f.type == pafs.FileType.File), key=lambda f: f.path)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what a file system or a damaged file raises into one sentence.

        Raises:
            DataError: see above.
        """
        try:
            yield
        except (OSError, ValueError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(
                f"{self.address} cannot be read or written ({reason}): check the address, its "
                "rights and the space that is left."
            ) from error

    @contextmanager
    def writing(self) -> Iterator[pa.NativeFile]:
        """Open a file that appears under its name when the block succeeds.

        In a folder it has a hidden name until then. In an object store, a file that is not closed
        does not exist. Several may write the same file: the last one counts.

        Raises:
            DataError: it cannot be written.
        """
        with self.errors():
            folder, _, name = self.path.rpartition("/")
            if self.files.type_name != "local":
                with self.files.open_output_stream(self.path) as file:
                    yield file
                return
            self.files.create_dir(folder or ".", recursive=True)
            temporary = f"{folder or '.'}/.{name}.{uuid.uuid4().hex}{_PARTIAL}"
            try:
                with self.files.open_output_stream(temporary) as file:
                    yield file
                self.files.move(temporary, self.path)
            except BaseException:
                with suppress(OSError):
                    self.files.delete_file(temporary)
                raise

    def remove_partial(self) -> None:
        """Delete what killed writers have left in this folder."""
        for file in self.listed():
            if file.base_name.startswith(".") and file.base_name.endswith(_PARTIAL):
                with suppress(OSError):
                    self.files.delete_file(file.path)

    def remove(self) -> None:
        """Delete this file.

        Raises:
            DataError: it cannot be deleted.
        """
        with self.errors():
            self.files.delete_file(self.path)

    def read_json(self) -> dict[str, Any] | None:
        """An object; None if there is no such file.

        Raises:
            DataError: it cannot be read or holds something else.
        """
        if self.info().type != pafs.FileType.File:
            return None
        with self.errors(), self.files.open_input_stream(self.path) as file:
            values = json.loads(file.read())
            if not isinstance(values, dict):
                raise ValueError("it does not hold an object")
            return values

    def write_json(self, values: dict[str, Any]) -> None:
        """Write an object.

        Raises:
            DataError: it cannot be written.
        """
        with self.writing() as file:
            file.write(json.dumps(values, indent=2).encode() + b"\n")
