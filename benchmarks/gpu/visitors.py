"""Part "visitors": 50 people who click at once, batched and one at a time, in NF4."""

import torch

from benchmarks.bench_visitors import NUM_ITEMS, table
from benchmarks.gpu.click import user_steps
from benchmarks.gpu.device import memory
from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import DONE, Record
from benchmarks.gpu.settings import Settings

VISITORS = (1, 50)


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Time the visitors."""
    steps, width = user_steps(settings, case.name, "nf4")
    items = torch.randn(NUM_ITEMS, width, generator=torch.Generator().manual_seed(3))
    lines = table(steps, items, 1 if settings.tiny else 5, VISITORS)
    rows = [
        {
            "visitors": int(line["visitors"]),
            "alone clicks/s": line["alone"],
            "batched clicks/s": line["batched"],
            "median ms": line["batched_median"],
            "p95 ms": line["batched_p95"],
            "least cosine": line["cosine"],
        }
        | memory(settings)
        for line in lines
    ]
    return Record(DONE, rows=rows)
