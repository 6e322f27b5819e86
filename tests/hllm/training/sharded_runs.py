"""Run by test_fsdp under torchrun: training runs one after the other in the same processes.

Argument: a JSON file with a list of runs {"name", "argv", ...}. Every process writes what it saw of
a run beside it, to NAME.RANK.json.
"""

import json
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate.state import AcceleratorState
from torch.distributed.tensor import DTensor

from hllm.errors import HLLMError
from hllm.text import token_batches
from hllm.train import parse_options
from hllm.training import item_encoder
from hllm.training.fsdp import most_calls
from hllm.training.trainer import Trainer

BATCHES = []  # of items: [this process's, most of all]


class Killed(Exception):
    pass


def counted_calls(module, calls):
    BATCHES.append([calls, most_calls(module, calls)])
    return BATCHES[-1][1]


def local(tensor):
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def held(tensors):
    """Numbers that this process holds, and that there are in all."""
    return [sum(local(tensor).numel() for tensor in tensors), sum(map(torch.numel, tensors))]


def watch(trainer, norms, between, dies_at):
    """Note layers held before a backward pass, and the norm of clipped gradients; may stop."""
    update, train_step_of = trainer.optimizer.step, trainer._train_step
    backward = trainer.accelerator.backward

    def noted(loss):
        named = trainer.trainee.step.named_parameters()
        between[:] = held([parameter for name, parameter in named if ".layers." in name])
        backward(loss)

    def step():
        gradients = [p.grad for p in trainer.trainee.step.parameters() if p.grad is not None]
        norms.append(torch.stack([whole(gradient).norm() for gradient in gradients]).norm().item())
        update()

    def dies(rows):
        if trainer.progress.step == dies_at:
            raise Killed
        return train_step_of(rows)

    trainer.optimizer.step, trainer._train_step = step, dies
    trainer.accelerator.backward = noted


def run(argv, dies_at=None, foreach=None):
    """What this process saw."""
    AcceleratorState._reset_state()  # of the last run's precision
    trainer = Trainer(*parse_options(argv))
    for group in trainer.optimizer.param_groups:
        group["foreach"] = foreach  # as it is on a GPU
    norms, between = [], []
    watch(trainer, norms, between, dies_at)
    BATCHES.clear()
    with suppress(Killed):
        trainer.run()
    parameters = list(trainer.trainee.step.parameters())
    states = trainer.optimizer.state.values()
    moments = [state[key] for state in states for key in ("exp_avg", "exp_avg_sq")]
    gathered = [p for p in parameters if p.ndim and not isinstance(p, DTensor)]
    return {
        "parameters": held(parameters),
        "moments": held(moments),
        "between": between,
        "gathered": len(gathered),
        "norms": norms,
        "batches": list(BATCHES),
    }


def main(path):
    # So few tokens a batch of items that the processes have different numbers of batches.
    item_encoder.token_batches = partial(token_batches, budget=60)
    item_encoder.most_calls = counted_calls
    # Its cache makes unsharded runs add up gradients in bfloat16; sharded ones never do.
    torch.set_autocast_cache_enabled(False)
    for entry in json.loads(path.read_text()):
        name = entry.pop("name")
        try:
            seen = run(**entry)
        except HLLMError as error:
            seen = {"error": str(error)}
        path.with_name(f"{name}.{dist.get_rank()}.json").write_text(json.dumps(seen))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
