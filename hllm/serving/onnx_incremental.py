"""A Llama in few bits on a CPU: ONNX Runtime behind the interface of hllm.serving.incremental.

The graph is made once from a model folder and kept where the app may write. Its name says what it
was made from, so that it is made again when the model changes.

B histories, P items of a known prefix, S new items, D width, F numbers in keys and values of one
item.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from hllm.atomic import atomic_folder
from hllm.errors import CheckpointError
from hllm.model_folder import ITEM_LLM, USER_LLM, ModelFolder
from hllm.serving.onnx_graph import export_llama
from hllm.weights.nf4_format import PackedMatrix

# Of hllm.serving.onnx_graph; raise it when that changes, and graphs that were kept are made again.
_VERSION = 4

logger = logging.getLogger(__name__)


class OnnxIncremental:
    """A graph of hllm.serving.onnx_graph as IncrementalModel.

    Args:
        path: the graph.
        threads: of the matrix products; 0 = as many as the machine has cores.
    """

    can_resume = True
    can_batch = True
    rounds_activations = True

    def __init__(self, path: Path, threads: int = 0) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would take the cores from the search and from torch.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        # The inputs key_i and value_i, layer by layer.
        self._cache = [value for value in self._session.get_inputs() if "_" in value.name]
        _, self._heads, _, self._width = self._cache[0].shape

    def extend(self, past: Tensor | None, items: Tensor) -> tuple[Tensor, Tensor]:
        """See hllm.serving.incremental.IncrementalModel."""
        memory, states = self._run([past], items.unsqueeze(0))
        return memory[0], states[0]

    def append(self, pasts: Sequence[Tensor], items: Tensor) -> tuple[Tensor, Tensor]:
        """See hllm.serving.incremental.IncrementalModel."""
        memory, states = self._run(pasts, items.unsqueeze(1))
        return memory[:, 0], states[:, 0]

    def read(self, histories: Sequence[Tensor]) -> Tensor:
        """See hllm.serving.incremental.IncrementalModel."""
        return torch.stack([self.extend(None, history)[1][-1] for history in histories])

    def _run(self, pasts: Sequence[Tensor | None], items: Tensor) -> tuple[Tensor, Tensor]:
        """B times (P, F) and items (B, S, D) -> keys and values (B, S, F) and states (B, S, D)."""
        count = items.shape[1]
        lengths = [0 if past is None else len(past) for past in pasts]
        feeds = {
            "embeddings": items.float().numpy(),
            "last": np.array(lengths, dtype=np.int32) + np.int32(count - 1),
            "total": np.array(max(lengths) + count, dtype=np.int32),
        }
        layers = self._side_by_side(pasts, max(lengths))
        feeds |= {value.name: layers[row] for row, value in enumerate(self._cache)}
        states, *whole = self._session.run(None, feeds)
        # The kernel returns old and new items; only the new ones are unknown to the caller.
        new = [
            [tensor[row, :, before : before + count] for tensor in whole]
            for row, before in enumerate(lengths)
        ]
        # (B, 2 layers, heads, S, width) -> (B, S, F)
        memory = torch.from_numpy(np.stack(new)).permute(0, 3, 1, 2, 4).flatten(2)
        return memory, torch.from_numpy(states)

    def _side_by_side(self, pasts: Sequence[Tensor | None], longest: int) -> np.ndarray:
        """Keys and values (2 layers, B, heads, P of the longest, width), in a single copy."""
        shape = (len(self._cache), self._heads, self._width)
        layers = torch.zeros(shape[0], len(pasts), shape[1], longest, shape[2])
        for row, past in enumerate(pasts):
            if past is not None:
                # torch, because it copies with all threads and numpy with one.
                layers[:, row, :, : len(past)] = past.unflatten(1, shape).permute(1, 2, 0, 3)
        return layers.numpy()


def prepare_onnx(model: ModelFolder, cache: Path, *, bits: int, tower: str = USER_LLM) -> Path:
    """Make the graph of one of a model folder's language models, unless it was made before.

    Args:
        model: a trained or converted HLLM; hllm.serving.precision.fits_few_bits.
        cache: folder for graphs.
        bits: of the weights.
        tower: USER_LLM or ITEM_LLM, beside whose graph stand its word embeddings (WORDS_FILE).

    Returns:
        The path of the graph.

    Raises:
        CheckpointError: its weights are missing or damaged.
    """
    config = model.config
    is_item = tower == ITEM_LLM
    name = tower.strip(".").replace("_", "-")
    place, state = _graph_key(model)
    folder = cache / f"{name}-{place}-{state}-{bits}"
    if not folder.is_dir():
        logger.info("making %s: a language model in %d bits, once", folder, bits)
        try:
            with atomic_folder(folder) as fresh:
                export_llama(
                    _plain(model.tower_tensors(tower)),
                    config.item_config if is_item else config.user_config,
                    fresh,
                    bits=bits,
                    # Behind the longest text stands the [ITEM] token.
                    max_length=config.max_text_tokens + 1 if is_item else config.max_history,
                    with_words=is_item,
                )
        except OSError:
            # If the folder is there, another process was faster, with the same graph.
            if not folder.is_dir():
                raise
        _remove_older(cache, f"{name}-{place}", state)
    return folder / "model.onnx"


def _plain(tensors: Iterable[tuple[str, Tensor | PackedMatrix]]) -> Iterator[tuple[str, Tensor]]:
    for name, value in tensors:
        yield name, value.dequantize() if isinstance(value, PackedMatrix) else value


def _remove_older(cache: Path, place: str, state: str) -> None:
    """Remove the graphs of what the same model folder held before."""
    for old in cache.glob(f"{place}-*"):
        if not old.name.startswith(f"{place}-{state}-"):
            shutil.rmtree(old, ignore_errors=True)


def _graph_key(model: ModelFolder) -> tuple[str, str]:
    """Hex digits that name the model folder, and those that name what it holds."""
    # Places, sizes and times, not contents: hashing gigabytes would slow every start. The time of
    # change (ctime) is set by the machine alone, so another model under the same name, of the same
    # size and with copied times, is seen.
    try:
        stats = [
            (file.name, s.st_ino, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
            for file in model.files
            for s in (file.stat(),)
        ]
    except OSError as error:
        raise CheckpointError(f"{model} is not a complete model folder ({error}).") from error
    place = hashlib.sha256(os.fsencode(model.path.resolve())).hexdigest()[:16]
    return place, hashlib.sha256(json.dumps([_VERSION, stats]).encode()).hexdigest()[:16]
