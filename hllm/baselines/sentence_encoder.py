"""all-MiniLM-L6-v2, loaded once: sentence embeddings of texts, nothing kept.

B texts of a batch.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hllm.text import token_batches, tokenize
from hllm.weights.packaged import MINILM, pretrained_folder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

TEXTS_AT_ONCE = 512


class SentenceEncoder:
    """The sentence encoder of the baseline, as sentence-transformers computes it.

    Args:
        device: of torch.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._lock = threading.Lock()
        self._model: SentenceTransformer | None = None

    def load(self) -> None:
        """Load what the first texts would have to load.

        Raises:
            CheckpointError: the packaged weights are missing or not the official ones.
        """
        with self._lock:
            self._loaded()

    def encode_one(self, text: str) -> Tensor:
        """(384,) float32, L2-normalised.

        Raises:
            CheckpointError: see load.
        """
        with self._lock:  # one text at a time: it uses every core
            [(_, vectors)] = self.batches([text])
        return vectors[0]

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """As hllm.embedder.Encoder: places in the texts, and vectors (B, 384) of length 1.

        Raises:
            CheckpointError: see load.
        """
        model = self._loaded()
        max_tokens: int = model.max_seq_length or model.tokenizer.model_max_length
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            block = list(texts[start : start + TEXTS_AT_ONCE])
            token_ids = tokenize(model.tokenizer, block, max_tokens)
            # Batches by length in tokens: 64 long descriptions at once are mostly padding, and
            # their attention does not fit into a processor's cache.
            for rows in token_batches(token_ids):
                vectors = model.encode(
                    [block[row] for row in rows],
                    batch_size=len(rows),
                    show_progress_bar=False,
                    normalize_embeddings=True,
                )
                found = torch.from_numpy(np.asarray(vectors, dtype=np.float32))
                yield [start + row for row in rows], found

    def _loaded(self) -> "SentenceTransformer":
        if self._model is None:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415  takes seconds, often not needed

            self._model = SentenceTransformer(
                str(pretrained_folder(MINILM)),
                device=self._device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        return self._model
