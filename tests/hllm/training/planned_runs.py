"""Run by test_plan under torchrun: sharded training of a language model that memory shows.

Argument: a JSON file with {"name": arguments of hllm.train}. Every process writes what it measured
of a run beside it, to NAME.RANK.json.
"""

import inspect
import json
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch.distributed as dist
from accelerate.state import AcceleratorState
from torch.utils.flop_counter import FlopCounterMode

from hllm.text import token_batches
from hllm.train import parse_options
from hllm.training import item_encoder
from hllm.training.trainer import Trainer

COUNTED, MEASURED, LAST = 1, 2, 3  # steps, from 0; the first makes the moments
TOKENS_PER_BATCH = 90


class Enough(Exception):
    pass


def status_bytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


def count_received(seen):
    """Note the bytes that FSDP's collectives give this process; gives what ends that."""
    calls = {}
    for name, older, counted in (
        ("all_gather_single", "all_gather_into_tensor", "output"),
        ("reduce_scatter_single", "reduce_scatter_tensor", "input"),
    ):
        name = name if hasattr(dist, name) else older  # torch before 2.13
        calls[name] = getattr(dist, name)
        setattr(dist, name, counting(calls[name], counted, seen))
    return lambda: [setattr(dist, name, call) for name, call in calls.items()]


def counting(call, counted, seen):
    def counts(*args, **kwargs):
        bound = inspect.signature(call).bind(*args, **kwargs).arguments
        tensor = next(value for name, value in bound.items() if name.startswith(counted))
        seen["received"] += tensor.nbytes * (1 - 1 / dist.get_world_size())
        return call(*args, **kwargs)

    return counts


def run(argv):
    AcceleratorState._reset_state()
    trainer = Trainer(*parse_options(argv))
    seen = {"received": 0, "before": status_bytes("VmRSS"), "items": []}
    train_step = trainer._train_step

    def watched(rows):
        step = trainer.progress.step
        if step == LAST:
            raise Enough
        if step == COUNTED:
            seen["received"] = 0
            with FlopCounterMode(display=False) as counter:
                stats = train_step(rows)
            seen["operations"] = counter.get_total_flops()
            seen["received_in_step"] = seen["received"]
        else:
            Path("/proc/self/clear_refs").write_text("5")  # VmHWM counts from here
            stats = train_step(rows)
            seen["peak"] = status_bytes("VmHWM")
        seen["items"].append(stats["unique_items"])
        return stats

    trainer._train_step = watched
    restore = count_received(seen)
    with suppress(Enough):
        trainer.run()
    restore()
    return seen


def main(path):
    item_encoder.token_batches = partial(token_batches, budget=TOKENS_PER_BATCH)
    for name, argv in json.loads(path.read_text()).items():
        seen = run(argv)
        path.with_name(f"{name}.{dist.get_rank()}.json").write_text(json.dumps(seen))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
