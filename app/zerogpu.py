"""What runs on a GPU that is lent for the length of one function: ZeroGPU of Hugging Face Spaces.

There the package `spaces` takes a decorated function to a process that has a GPU, and in all others
torch only claims to have one. Clicks are answered on the CPU: a visitor's quota is minutes a day.
The GPU is for what takes it: texts for a large Item LLM, whether typed in or of a new catalogue.
Where the package is missing, or nothing is lent, the function is an ordinary one.

Imported before torch, of which the package replaces parts.

N texts, D dimensions.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from hllm.errors import HLLMError
from hllm.serving.precision import on_zerogpu

try:
    import spaces
except ImportError:
    spaces = None

if TYPE_CHECKING:
    from hllm.model import HLLM

Function = TypeVar("Function", bound=Callable[..., Any])

# The declared time is what has to be left of a quota, and what decides who is served first.
FEWEST_SECONDS, MOST_SECONDS = 10, 60
TOKENS_PER_SECOND = 10_000  # a cautious guess: no GPU of a Space was measured

# Where ZeroGPU begins to name its offers, as Markdown or with an address.
_OFFERS = re.compile(r"\s*(?:\[|Authenticate with|Subscribe to|Add credits).*", re.S)

# A process that is given a GPU is forked from this one and finds here what was loaded before.
_encoders: dict[Path, HLLM] = {}

logger = logging.getLogger(__name__)


class GPUError(HLLMError):
    """A GPU was not lent, or the work on it failed; the message says which."""


def is_lent() -> bool:
    """Whether GPUs are lent here, and the package is there that asks for them."""
    return spaces is not None and on_zerogpu()


def report_start() -> None:
    """Tell ZeroGPU that there are functions for its GPUs; it ends a Space that never says so.

    `spaces` does that when Gradio's own server is launched. The app has a server of its own.
    """
    if is_lent():
        from spaces.zero import startup  # noqa: PLC0415  exists only where GPUs are lent

        startup()
        logger.info("ZeroGPU knows the app: a GPU is lent for texts that a large Item LLM reads.")


def _on_gpu(duration: Callable[..., int]) -> Callable[[Function], Function]:
    if spaces is None:
        return lambda function: function
    return spaces.GPU(duration=duration)


def seconds_for(_folder: Path, _ids: np.ndarray, lengths: np.ndarray) -> int:
    """How long a GPU is asked for, with the arguments of the function that it is lent to."""
    return min(FEWEST_SECONDS + int(lengths.sum()) // TOKENS_PER_SECOND, MOST_SECONDS)


@_on_gpu(duration=seconds_for)
def encode_on_gpu(folder: Path, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Embed texts with the Item LLM of a model folder; on the CPU where there is no GPU.

    Args:
        folder: of a trained or converted HLLM.
        ids: the token ids of all texts in a row, int64.
        lengths: (N,) how many of them belong to each text, int64.

    Returns:
        (N, D) float32, not normalised.

    Raises:
        CheckpointError: weights are missing or damaged.
    """
    import torch  # noqa: PLC0415  takes longer to import than the app to start

    from hllm.embed import encode_tokens  # noqa: PLC0415  imports torch

    if is_lent():  # in a forked process the threads of torch's pool are missing, and it would wait
        torch.set_num_threads(1)
    model = _encoder(folder)
    if torch.cuda.is_available():
        model.to(torch.device("cuda"))  # type: ignore[arg-type]
    texts = np.split(ids, np.cumsum(lengths)[:-1])
    return encode_tokens(model, [text.tolist() for text in texts]).numpy()


def encode_lent(folder: Path, token_ids: Sequence[Sequence[int]]) -> np.ndarray:
    """Embed texts on a lent GPU.

    Args:
        folder: of a trained or converted HLLM.
        token_ids: of N texts.

    Returns:
        (N, D) float32, not normalised.

    Raises:
        GPUError: none was lent (the quota is used up, or none was free), or the work failed.
        CheckpointError: weights are missing or damaged.
    """
    _encoder(folder)  # before the GPU is asked for: reading a disk is not what it is lent for
    lengths = np.array([len(ids) for ids in token_ids], np.int64)
    ids = np.array([token for ids in token_ids for token in ids], np.int64)
    try:
        return encode_on_gpu(folder, ids, lengths)
    except HLLMError:
        raise
    except Exception as error:  # gr.Error, or what a request to ZeroGPU can end with
        logger.exception("ZeroGPU: no embeddings")
        said = _OFFERS.sub("", str(getattr(error, "message", ""))) or type(error).__name__
        raise GPUError(
            f"No GPU has encoded the text ({said.rstrip('. ')}): try again later."
        ) from error


def _encoder(folder: Path) -> HLLM:
    if folder not in _encoders:
        from hllm.serving.item_model import load_item_half  # noqa: PLC0415  imports torch

        _encoders[folder] = load_item_half(folder)
    return _encoders[folder]
