"""What one worker does: holds the Item LLM, reads rows of a Parquet file, writes their embeddings.

An object of this class lives in an actor of Ray's, and knows nothing of Ray. What a person can mend
comes back as a sentence: an exception would be tried again, and come back as a traceback.
"""

import platform
from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
import torch

from hllm.cluster.blocks import Block, opened
from hllm.embed import CPU, load_encoder, uncached_batches
from hllm.embedder import Encoder, embed_incrementally
from hllm.errors import DataError, HLLMError
from hllm.exchange import write_parquet
from hllm.model_folder import ModelFolder
from hllm.places import Place

_ROWS_AT_ONCE = 4_096


class BlockEmbedder:
    """Embeds block after block.

    Args:
        model: path of the model folder, on this node.
        fingerprint: which model it must be.
        items: address of the items.
        output: address of the output folder.
        half: see hllm.embed.embed_items.
    """

    def __init__(
        self, *, model: str, fingerprint: str, items: str, output: str, half: bool
    ) -> None:
        self._items, self._output, self._half = items, output, half
        self._fingerprint = fingerprint
        self._encode: Encoder | None = None
        self._problem = ""
        try:
            self._open(model)
        except HLLMError as error:
            self._problem = str(error)

    def _open(self, model: str) -> None:
        folder = ModelFolder(model)
        if folder.fingerprint != self._fingerprint:
            raise DataError(f"{model} is another model here: copy the same one to every node.")
        device = torch.device("cuda") if torch.cuda.is_available() else CPU
        self._config = folder.config
        self._encode = partial(
            uncached_batches, *load_encoder(folder, device), exact=not self._half
        )

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Make one output file.

        Args:
            row: the fields of a Block.

        Returns:
            How many items it has, and a sentence where something is wrong ("": nothing).
        """
        block, problem = Block(**row), self._problem
        if not problem:
            try:
                self._make(block)
            except HLLMError as error:
                problem = str(error)
        return {
            "items": block.stop - block.start,
            "problem": f"{platform.node()}: {problem}" if problem else "",
        }

    def _make(self, block: Block) -> None:
        assert self._encode is not None
        encode = self._encode
        embeddings = embed_incrementally(
            self._texts(block),
            [],
            self._fingerprint,
            lambda: encode,
            dtype=torch.float16 if self._half else torch.float32,
            progress=False,
        )
        with Place.of(self._output).child(block.name).writing() as file:
            write_parquet(embeddings, file, origin=block.origin)

    def _texts(self, block: Block) -> list[tuple[str, str]]:
        """Item ids and item texts of a block.

        Raises:
            DataError: a row has no id, or the file is damaged.
        """
        files = Place.of(self._items).files
        keys = self._config.text_keys
        texts = []
        with opened(files, block.path) as file:
            names = ["item_id", *(key for key in keys if key in file.schema_arrow.names)]
            for place, fields in enumerate(_rows(file, names, block), start=block.start):
                item_id = fields.pop("item_id")
                if item_id is None or not str(item_id).strip():
                    raise DataError(
                        f"{block.path}, row {place + 1}: item_id is empty; correct or remove it."
                    )
                texts.append((str(item_id), self._config.item_text(fields)))
        return texts


def _rows(file: Any, names: list[str], block: Block) -> Iterator[dict[str, Any]]:
    """The rows of a block; of the file, only the groups are read that hold some of them."""
    groups: list[int] = []
    first = at = 0
    for group in range(file.metadata.num_row_groups):
        end = at + file.metadata.row_group(group).num_rows
        if at < block.stop and end > block.start:
            first = first if groups else at
            groups.append(group)
        at = end
    batch: pa.RecordBatch
    for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=names):
        start, stop = max(block.start - first, 0), min(block.stop - first, len(batch))
        if start < stop:
            yield from batch.slice(start, stop - start).to_pylist()
        first += len(batch)
        if first >= block.stop:
            return
