"""Item embeddings on disk: one safetensors file, a cache that may be deleted at any time.

Tensors: item_embeddings (N, D) float16 or float32, text_hashes (N, 8) uint8, item_ids (bytes)
uint8, a JSON list in UTF-8. Metadata: format, fingerprint of the model. A vector belongs to
(item_id, fingerprint, text hash); two items with the same text are two rows.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hllm.atomic import atomic_path
from hllm.errors import StaleEmbeddingsError

EMBEDDINGS = "embeddings.safetensors"  # default file name inside a model folder
FORMAT = "hllm-item-embeddings/1"
REMEDY = "python -m hllm.embed"


@dataclass(frozen=True)
class ItemEmbeddings:
    """Embeddings of a catalogue.

    Attributes:
        item_ids: N external ids, in the order of the rows.
        text_hashes: N hashes (hllm.text.text_hash) of the texts that were embedded.
        vectors: (N, D) float16 or float32, not normalised; memory-mapped when loaded.
        fingerprint: of the model that made them (hllm.model_folder.ModelFolder).
    """

    item_ids: list[str]
    text_hashes: list[str]
    vectors: Tensor
    fingerprint: str

    def save(self, path: str | Path) -> None:
        """Write the file under a temporary name, then rename: a reader never sees half of it."""
        tensors = {
            "item_embeddings": self.vectors.contiguous(),
            "text_hashes": torch.tensor(
                [list(bytes.fromhex(h)) for h in self.text_hashes], dtype=torch.uint8
            ).reshape(-1, 8),
            "item_ids": torch.tensor(
                list(json.dumps(self.item_ids, ensure_ascii=False).encode()), dtype=torch.uint8
            ),
        }
        metadata = {"format": FORMAT, "fingerprint": self.fingerprint}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: str | Path, *, remedy: str = REMEDY) -> "ItemEmbeddings":
        """Open the file; vectors stay on disk until they are touched.

        Args:
            path: the file.
            remedy: the command that makes it, for messages.

        Raises:
            StaleEmbeddingsError: missing, corrupt or of another kind.
        """
        path = Path(path)
        if not path.is_file():
            raise StaleEmbeddingsError(
                f"No item embeddings at {path}: make them with  {remedy} --help"
            )
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("format") != FORMAT:
                    raise StaleEmbeddingsError(
                        f"{path} holds no item embeddings of this version: delete it and make them "
                        f"again with  {remedy}"
                    )
                vectors = file.get_tensor("item_embeddings")
                hashes = file.get_tensor("text_hashes").numpy()
                item_ids = json.loads(file.get_tensor("item_ids").numpy().tobytes())
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise StaleEmbeddingsError(
                f"{path} is damaged ({error}): delete it and make the item embeddings again with  "
                f"{remedy}"
            ) from error
        return cls(
            item_ids, [row.tobytes().hex() for row in hashes], vectors, metadata["fingerprint"]
        )

    def check(
        self,
        fingerprint: str,
        text_hashes: Iterable[tuple[str, str]],
        *,
        path: str,
        remedy: str = REMEDY,
    ) -> None:
        """Make sure that these embeddings belong to this model and to these item texts.

        Args:
            fingerprint: of the model that will read them.
            text_hashes: (item_id, hash) of every item of the catalogue as it is now.
            path: for the message.
            remedy: the command that makes the file, for the message.

        Raises:
            StaleEmbeddingsError: another model, or new or changed items.
        """
        if fingerprint != self.fingerprint:
            raise StaleEmbeddingsError(
                f"{path} was made by another model (fingerprint {self.fingerprint}, this model has "
                f"{fingerprint}): make it again with  {remedy}"
            )
        known = dict(zip(self.item_ids, self.text_hashes, strict=True))
        changed = sum(known.get(item_id) != value for item_id, value in text_hashes)
        if changed:
            raise StaleEmbeddingsError(
                f"{path} is older than the catalogue: {changed:,} items are new or have another "
                f"text; run  {remedy}  again (only those are encoded)"
            )


def reusable(known: ItemEmbeddings | None, fingerprint: str) -> Callable[[str, str], Tensor | None]:
    """Look-up (item_id, text hash) -> (D,) vector among embeddings of the same model, else None."""
    if known is None or known.fingerprint != fingerprint:
        return lambda item_id, value: None
    rows = {
        pair: row for row, pair in enumerate(zip(known.item_ids, known.text_hashes, strict=True))
    }
    vectors = known.vectors

    def look_up(item_id: str, value: str) -> Tensor | None:
        row = rows.get((item_id, value))
        return None if row is None else vectors[row]

    return look_up
