"""Both models as files: embeddings, User LLM, a blend; and whether they answer as the server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from app.columns import Column
from app.how import beside_words, stage_payload
from app.session import MAX_HISTORY
from app.static_space.files import write_numbers, write_parts
from hllm.baselines.text_scorer import DECAY
from hllm.checkpoint import load_user_llm
from hllm.errors import HLLMError
from hllm.model_folder import ModelFolder
from hllm.serving.blend import Blend
from hllm.serving.onnx_plain import INPUT, OUTPUT, plain_onnx
from hllm.serving.ranker import ItemRanker, Stage, Stages
from hllm.store import BLEND

MAX_PARAMETERS = 20_000_000  # of a User LLM: two bytes each are loaded by every visitor
TOLERANCE = 1e-3  # of a score: weights and embeddings are rounded to float16
CHECKED = (1, 2, 7, 20, MAX_HISTORY)  # lengths of the histories that are compared
_BESIDE_TEXTS = ("starts", "neighbours", "similarities", "counts")


def numbered(item_ids: Sequence[str], rankers: Sequence[ItemRanker]) -> dict[str, int]:
    """Numbers of items by id.

    Args:
        item_ids: of the catalogue: an item's place is its number.
        rankers: what they know and the catalogue has not gets numbers below 0.
    """
    known = {item_id: number for number, item_id in enumerate(item_ids)}
    others = sorted({item_id for r in rankers for item_id in r.item_ids} - known.keys())
    return known | {item_id: -1 - place for place, item_id in enumerate(others)}


@dataclass(frozen=True)
class WrittenHLLM:
    """An HLLM as the page computes it, for comparing it with the one that the server has.

    Attributes:
        data: what the page must know of it.
        user_llm: as ONNX.
        vectors: (N, D) float16 as the User LLM reads them.
        max_history: most items that it reads.
        blend: what else makes its scores.
    """

    data: dict[str, Any]
    user_llm: bytes
    vectors: np.ndarray
    max_history: int
    blend: Blend | None


def write_hllm(folder: Path, column: Column, number_of: Mapping[str, int]) -> WrittenHLLM:
    """Write the User LLM and what it reads.

    Args:
        folder: of the page.
        column: of HLLM, loaded.
        number_of: of items by id, see numbered.

    Raises:
        HLLMError: the model is too large for a page, or of another shape.
    """
    ranker = column.wait()
    source = column.model_folder
    stages = ranker.stages()
    if source is None or stages is None:
        raise HLLMError("This HLLM has no folder that it could be exported from.")
    size = stages.user.num_parameters
    if size > MAX_PARAMETERS:
        raise HLLMError(
            f"The User LLM has {size / 1e6:,.0f} million parameters: every visitor of a static "
            f"page would load them, so at most {MAX_PARAMETERS / 1e6:.0f} million are exported."
        )
    config = ModelFolder.of(source).config
    max_history = min(config.max_history, MAX_HISTORY)
    user_llm = plain_onnx(
        load_user_llm(source).state_dict(), config.user_config, max_length=max_history
    )
    vectors = _half(ranker)
    blend = Blend.load(source / BLEND) if (source / BLEND).exists() else None
    data = {
        **_column_data(folder, column, ranker, vectors, number_of),
        "model": write_parts(folder, "model/user_llm", user_llm),
        "input": INPUT,
        "output": OUTPUT,
        "maxHistory": max_history,
        "stages": [stage_payload(stage) for stage in _stages_here(stages, len(user_llm))],
        "blend": None if blend is None else _write_blend(folder, blend),
    }
    return WrittenHLLM(data, user_llm, vectors, max_history, blend)


def _stages_here(stages: Stages, num_bytes: int) -> list[Stage]:
    """The steps as they run in a browser, with a User LLM of so many bytes."""
    precision = "fp32 from fp16"
    return [
        replace(stages.item, precision="", device="ran before the page was made"),
        replace(
            stages.user,
            precision=precision,
            device="WebAssembly in this browser",
            num_bytes=num_bytes,
        ),
        replace(stages.search, precision=precision, device="in this browser"),
    ]


def write_baseline(folder: Path, column: Column, number_of: Mapping[str, int]) -> dict[str, Any]:
    """Write the text baseline's embeddings; gives what the page must know of it."""
    ranker = column.wait()
    data = _column_data(folder, column, ranker, _half(ranker), number_of)
    return {**data, "decay": DECAY, "beside": beside_words(column.info())}


def check_like_the_server(
    written: WrittenHLLM, ranker: ItemRanker, lengths: Sequence[int] = CHECKED
) -> float:
    """Compare what the page will compute with the server's answers.

    Args:
        written: as the page has it.
        ranker: the server's.
        lengths: of histories that are drawn at random.

    Returns:
        The largest difference of a score.

    Raises:
        HLLMError: it is more than TOLERANCE.
    """
    session = onnxruntime.InferenceSession(written.user_llm, providers=["CPUExecutionProvider"])
    inputs = torch.from_numpy(written.vectors).float()
    units = torch.nn.functional.normalize(inputs, dim=-1)
    chance = np.random.default_rng(0)
    largest = 0.0
    for length in lengths:
        rows = chance.permutation(len(inputs))[: min(length, len(inputs) - 1)].tolist()
        read = inputs[rows[-written.max_history :]].numpy()
        [user] = session.run([OUTPUT], {INPUT: read})
        scores = units @ torch.nn.functional.normalize(torch.from_numpy(user), dim=0)
        if written.blend is not None:
            scores = written.blend.scores(scores.unsqueeze(0), [rows])[0]
        row_of = {item_id: row for row, item_id in enumerate(ranker.item_ids)}
        found = ranker.recommend([ranker.item_ids[row] for row in rows], top_k=10).items
        apart = [abs(float(scores[row_of[item.item_id]]) - item.score) for item in found]
        largest = max(largest, *apart)
    if not largest <= TOLERANCE:  # NaN neither
        raise HLLMError(
            f"In half precision this model's scores differ by {largest:.2g} from the server's, "
            f"more than {TOLERANCE:g}: it is not exported."
        )
    return largest


def _half(ranker: ItemRanker) -> np.ndarray:
    """(N, D) float16: all item embeddings of a recommender, in the order of its rows."""
    vectors: Tensor = torch.stack([ranker.item_embedding(item_id) for item_id in ranker.item_ids])
    half: np.ndarray = vectors.half().cpu().numpy()
    if not np.isfinite(half).all():
        raise HLLMError("Item embeddings are too large for half precision: they are not exported.")
    return half


def _column_data(
    folder: Path,
    column: Column,
    ranker: ItemRanker,
    vectors: np.ndarray,
    number_of: Mapping[str, int],
) -> dict[str, Any]:
    known = {item_id for item_id, number in number_of.items() if number >= 0}
    missing = known - set(ranker.item_ids)
    if missing:
        raise HLLMError(
            f"{column.title} has no embedding for {len(missing)} items of the catalogue, such as "
            f"{min(missing)!r}: make its embeddings anew."
        )
    return {
        "key": column.key,
        "title": column.title,
        "width": vectors.shape[1],
        "vectors": write_numbers(folder, f"data/{column.key}", vectors),
        "numbers": [number_of[item_id] for item_id in ranker.item_ids],
    }


def _write_blend(folder: Path, blend: Blend) -> dict[str, Any]:
    weights = asdict(blend.weights)
    assert all(math.isfinite(value) for value in weights.values())
    arrays = {name: getattr(blend, name).numpy() for name in _BESIDE_TEXTS}
    arrays["starts"] = arrays["starts"].astype(np.int32)  # of as many pairs as a page can hold
    return {
        "weights": weights,
        "width": blend.texts.shape[1],
        "texts": write_numbers(folder, "data/texts", blend.texts.numpy()),
        **{name: write_numbers(folder, f"data/{name}", array) for name, array in arrays.items()},
    }
