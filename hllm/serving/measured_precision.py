"""Which of several precisions answers a click faster on this machine, by a measurement.

How fast few bits are depends on the processor's instructions, its caches and its memory, which a
name does not tell. So a few layers of the model's shape, with random weights, read a few items in
each precision. What was chosen is kept in the folder of the graphs, so that only the first start
measures.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from hllm.atomic import atomic_text
from hllm.model import make_user_llm, without_vocabulary
from hllm.serving.incremental import IncrementalModel, TransformersIncremental
from hllm.serving.onnx_graph import export_llama
from hllm.serving.onnx_incremental import OnnxIncremental

# With SAMPLE_PARAMETERS, 44 MB in 4 bits at 1.1 billion: a cache of common size cannot keep them.
SAMPLE_LAYERS = 4
SAMPLE_PARAMETERS = 100_000_000  # of a larger shape fewer layers, at least one: 400 MB in float32
KNOWN_ITEMS = 20
REPEATS = 9
# What is faster by less than this is not worth the rounding.
WORTH_IT = 0.9

logger = logging.getLogger(__name__)


def faster_precision(config: PretrainedConfig, choices: Sequence[str], cache: Path) -> str:
    """The fastest of several precisions, measured at the first start of a shape on a machine.

    Args:
        config: of a language model that hllm.serving.precision.fits_few_bits.
        choices: of fp32, int8 and int4, the most exact first: another must take less than WORTH_IT
            of its time.
        cache: folder for graphs; the choice is kept there as precision-KEY.json.

    Returns:
        One of the choices.
    """
    path = cache / f"precision-{_key(config, choices)}.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["precision"]
        if kept in choices:
            return str(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not measured yet, or not readable: measure
    logger.info("Measuring once which of %s is fastest here ...", ", ".join(choices))
    milliseconds = _measure(config, choices)
    best = choices[0]
    for choice in choices[1:]:
        if milliseconds[choice] < WORTH_IT * milliseconds[best]:
            best = choice
    measured = ", ".join(f"{choice} {ms:.2f} ms" for choice, ms in milliseconds.items())
    logger.info("%s: a few layers took %s an item.", best, measured)
    # A read-only folder or a full disk costs time at every start, but must not prevent one.
    try:
        with atomic_text(path) as file:
            json.dump({"precision": best, "milliseconds": milliseconds}, file, indent=1)
    except OSError as error:
        logger.warning("%s: this is measured again at every start", error)
    return best


def _key(config: PretrainedConfig, choices: Sequence[str]) -> str:
    """Of everything that the measurement depends on."""
    parts: list[Any] = [config.to_dict(), list(choices), platform.processor(), platform.machine()]
    parts += [torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    parts += [onnxruntime.__version__, SAMPLE_LAYERS, KNOWN_ITEMS, WORTH_IT]
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


def _measure(config: PretrainedConfig, choices: Sequence[str]) -> dict[str, float]:
    """Milliseconds in which a few layers read one item behind KNOWN_ITEMS, in each precision."""
    with torch.device("meta"):
        one = make_user_llm(_with_layers(config, 1))
    most = SAMPLE_PARAMETERS // sum(parameter.numel() for parameter in one.parameters())
    sample = _with_layers(config, min(config.num_hidden_layers, SAMPLE_LAYERS, max(1, most)))
    with torch.random.fork_rng():  # who opens a model may have set a seed for other things
        model = make_user_llm(sample)
        items = torch.randn(KNOWN_ITEMS + 1, config.hidden_size)
    found = {}
    for choice in choices:
        with tempfile.TemporaryDirectory() as folder:
            steps = _sample_steps(model, sample, choice, Path(folder))
            found[choice] = _append_ms(steps, items)
    return found


def _with_layers(config: PretrainedConfig, count: int) -> PretrainedConfig:
    values = {**config.to_dict(), "num_hidden_layers": count}
    return without_vocabulary(type(config).from_dict(values))


def _sample_steps(
    model: PreTrainedModel, config: PretrainedConfig, precision: str, folder: Path
) -> IncrementalModel:
    if precision == "fp32":
        return TransformersIncremental(model.eval(), KNOWN_ITEMS + 1)
    graph = export_llama(
        model.state_dict().items(),
        config,
        folder,
        bits=int(precision.removeprefix("int")),
        max_length=KNOWN_ITEMS + 1,
    )
    return OnnxIncremental(graph)


def _append_ms(steps: IncrementalModel, items: Tensor) -> float:
    """The best of several: what other programs take away is not the processor's."""
    memory, _ = steps.extend(None, items[:-1])
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        steps.extend(memory, items[-1:])
        times.append(time.perf_counter() - started)
    return min(times) * 1e3
