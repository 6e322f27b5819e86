"""Sharded training (FSDP2): each process holds its part of weights, gradients and moments.

What is whole on each device, and when:
- a transformer layer while it computes, and the next one, which is on its way;
- what is outside of layers (token embeddings, item table, adapter, norms), during a step or a
  validation;
- a frozen or partly tuned Item LLM, or one under a new mlp adapter, once before training, when the
  catalogue is encoded.
A model that is saved is put together on the first process's CPU. The state to resume from stays in
parts. At the start, every process makes the whole model on its CPU and brings its parts to the
device layer by layer.

Weights are gathered in float32. With bf16, their bfloat16 copies stay for the backward pass unless
gradients are checkpointed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from hllm.errors import DataError
from hllm.training.frozen_weights import check_frozen, digest_of_all, frozen_weights
from hllm.training.options import ModelOptions, TrainOptions

Result = TypeVar("Result")
_LEARNING_RATES = "learning_rates"
_FROZEN = "frozen_sha256"  # of this process's parts of what a shard leaves out


def check_shardable(model_options: ModelOptions, options: TrainOptions, num_processes: int) -> None:
    """Refuse what cannot be sharded before anything is loaded.

    Raises:
        DataError: a single process, or a base in 4 bits.
    """
    if not options.shard:
        return
    if num_processes == 1:
        raise DataError(
            "--shard needs several processes: start them with  torchrun --nproc_per_node=N "
            "-m hllm.train ..."
        )
    if model_options.is_qlora:
        raise DataError("--item_training qlora: a base in 4 bits cannot be sharded; choose lora")


def shard(step: nn.Module, device: torch.device, *, bf16: bool) -> None:
    """Leave every process only its part of each parameter, in place; make the optimiser afterwards.

    Args:
        step: a training step (hllm.training.step) with equal weights in all processes.
        device: this process's.
        bf16: run the forward pass in mixed precision.
    """
    # One dimension: every process holds another part, none a copy.
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    scalars = {parameter for parameter in step.parameters() if parameter.ndim == 0}
    # A single number cannot be cut. FSDP ignores it: it neither moves it nor averages its gradient.
    for scalar in scalars:
        scalar.data = scalar.data.to(device)
        if scalar.requires_grad:
            scalar.register_post_accumulate_grad_hook(_average_gradient)
    layers = list(_transformer_layers(step))
    # The inner ones first: what is left over belongs to the outermost unit.
    for layer in layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(step, mesh=mesh, ignored_params=scalars)
    if bf16:
        # Not a policy of FSDP's, which would compute norms and residuals in bfloat16, too. Without
        # its cache, which would hold weights and gradients of all layers.
        autocast = torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
        step.forward = autocast(step.forward)
    register_fsdp_forward_method(step, "call")

    def gather_once() -> None:
        # The first gathering makes the tensors. In a validation's inference mode, these would be
        # unfit for training.
        for layer in layers:
            layer.unshard()  # type: ignore[operator]
            layer.reshard()  # type: ignore[operator]

    call_gathered(step, gather_once)


def _transformer_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Members of the outermost module lists: the transformer layers of all our models."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from _transformer_layers(child)


@torch.no_grad()
def _average_gradient(parameter: Tensor) -> None:
    if parameter.grad is not None:
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


def call_gathered(step: Any, work: Callable[[], Result]) -> Result:
    """Do work that calls parts of a step directly. If the step is sharded, all processes must call.

    Args:
        step: a training step.
        work: may run layers, which gather themselves; everything outside of them is whole.
    """
    result = step.call(work)
    if isinstance(step, FSDPModule):
        # Without a backward pass, nothing else frees what is outside of the layers.
        step.reshard()
    return result


def most_calls(module: nn.Module, calls: int) -> int:
    """The largest number of calls that any process plans if the module is sharded; else `calls`."""
    # A sharded layer is gathered by all processes at once: each must run it equally often.
    if not any(isinstance(part, FSDPModule) for part in module.modules()):
        return calls
    # On the device over which the processes communicate.
    device = next(module.parameters()).device
    most = torch.tensor(calls, device=device)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return int(most)


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """State of a sharded model on the CPU. All processes must call; the first one gets it."""
    state = {}
    for name, value in model.state_dict().items():
        # All processes take part in putting it together, but only the first one keeps it.
        whole = value.full_tensor() if isinstance(value, DTensor) else value
        if dist.get_rank() == 0:
            state[name] = whole.cpu()
    return state


def save_shard(folder: Path, step: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write this process's part of weights and moments, exactly, into a folder."""
    rates = [group["lr"] for group in optimizer.param_groups]
    tensors = {_LEARNING_RATES: torch.tensor(rates, dtype=torch.float64)}
    frozen = frozen_weights(step)
    for name, parameter in step.named_parameters():
        if name in frozen:
            continue
        tensors[name] = _local_part(parameter)
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}/{key}"] = _local_part(value)
    save_file(
        {name: value.contiguous() for name, value in tensors.items()},
        _shard_file(folder),
        metadata={
            _FROZEN: digest_of_all({name: _local_part(value) for name, value in frozen.items()})
        },
    )


@torch.no_grad()
def load_shard(folder: Path, step: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Read what save_shard wrote; that of earlier versions holds frozen weights, too.

    Raises:
        CheckpointError: see hllm.training.frozen_weights.check_frozen.
        OSError: there is no such file: another number of processes, or a run without shards.
        KeyError: it belongs to another model.
        ValueError: it has other sizes.
    """
    with safe_open(_shard_file(folder), framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}
        left_out = (file.metadata() or {}).get(_FROZEN)
    frozen = frozen_weights(step) if left_out else {}
    if left_out:
        check_frozen(folder, left_out, {n: _local_part(value) for n, value in frozen.items()})
    # The schedule sets a rate only after a step: the first step of a resumed run needs these.
    rates = stored.pop(_LEARNING_RATES).tolist()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    for name, parameter in step.named_parameters():
        if name not in frozen:
            _copy_part(parameter, stored.pop(name), name)
    parameters = dict(step.named_parameters())
    for name, value in stored.items():
        owner, key = name.split("/")
        state = optimizer.state[parameters[owner]]
        if key == "step":  # a count, the same for all parts
            state[key] = value
        else:
            # A fresh optimiser has no moments before its first step.
            state[key] = torch.zeros_like(parameters[owner])
            _copy_part(state[key], value, name)


def _shard_file(folder: Path) -> Path:
    return folder / f"shard_{dist.get_rank()}_of_{dist.get_world_size()}.safetensors"


def _local_part(tensor: Tensor) -> Tensor:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach().cpu()


def _copy_part(tensor: Tensor, value: Tensor, name: str) -> None:
    own = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    if own.shape != value.shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(own.shape)}")
    own.copy_(value)
