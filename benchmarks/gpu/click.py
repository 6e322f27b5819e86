"""Part "click": one click at several lengths of the history, in NF4 and in bfloat16."""

import torch

from benchmarks.bench_precision import click_times
from benchmarks.gpu.device import memory, torch_device
from benchmarks.gpu.models import MAX_HISTORY, model_folder
from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import DONE, Record
from benchmarks.gpu.settings import Settings
from benchmarks.shapes import new_user_llm
from hllm.serving.incremental import TransformersIncremental
from hllm.serving.nf4_model import load_nf4

LENGTHS = (1, 10, 50)


def user_steps(
    settings: Settings, size: str, precision: str
) -> tuple[TransformersIncremental, int]:
    """A User LLM that is ready to answer, and its width."""
    folder, device = model_folder(settings, size), torch_device(settings)
    config = folder.config.user_config
    if precision == "nf4":
        user_llm = load_nf4(folder, device)
    else:  # a click's time does not depend on the weights: nothing large is read
        user_llm = new_user_llm(config, device, torch.bfloat16)
    return TransformersIncremental(user_llm, MAX_HISTORY), config.hidden_size


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Time appends and whole histories."""
    size, precision = case.name.rsplit("-", 1)
    steps, width = user_steps(settings, size, precision)
    repeats = 2 if settings.tiny else 20
    rows = [
        {"history": length, "append ms": append, "whole history ms": full} | memory(settings)
        for length, append, full in click_times(steps, LENGTHS, width, repeats)
    ]
    return Record(DONE, rows=rows)
