"""Training on a Ray cluster: hllm.train in as many processes as asked for, started by Ray Train.

    python -m hllm.cluster.ray_train --processes 8 --ray-address auto -- --shard True ...

Behind ``--`` stand the options of hllm.train. Ray Train places the processes, connects them, and
starts all of them anew when one or its node dies; hllm.train then goes on from its last state, for
which --output must be a folder that all nodes share.
"""

if __name__ == "__main__":
    from hllm.shell import run_command

    run_command("ray_train")

import os
from pathlib import Path
from typing import Any

from hllm.atomic import storage_errors
from hllm.cluster.ray_session import ray_session
from hllm.errors import DataError, HLLMError
from hllm.shell import set_up_output
from hllm.training.options import ModelOptions, TrainOptions
from hllm.training.run_record import open_run
from hllm.training.run_state import CONTINUES
from hllm.training.trainer import Trainer

RESTARTS = 3  # of all processes; whoever needs more gives the same command again


def train_on_cluster(
    model: ModelOptions, train: TrainOptions, processes: int, address: str = ""
) -> None:
    """Train to the end, or on from where a stopped run was; a finished run is left as it is.

    Args:
        model: what is trained.
        train: how, and on what; every node needs its files at the same paths.
        processes: how many, each with a GPU where the cluster has any, else with one CPU.
        address: see hllm.cluster.ray_session.

    Raises:
        HLLMError: what hllm.train says, or the cluster cannot be used.
    """
    if open_run(model, train).is_finished:  # and what is wrong is said before anything is started
        return
    with ray_session(address, logs=True) as ray:
        from ray.train import (  # noqa: PLC0415  an extra
            FailureConfig,
            RunConfig,
            ScalingConfig,
            TrainingFailedError,
        )
        from ray.train.torch import TorchConfig, TorchTrainer  # noqa: PLC0415  the same

        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        trainer = TorchTrainer(
            _loop,
            train_loop_config={"model": model, "train": train, "folder": Path.cwd()},
            scaling_config=ScalingConfig(num_workers=processes, use_gpu=has_gpus),
            torch_config=TorchConfig(backend="nccl" if has_gpus else "gloo"),
            run_config=RunConfig(
                storage_path=str(train.output.resolve().with_name(f"{train.output.name}.ray")),
                failure_config=FailureConfig(max_failures=RESTARTS),
            ),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            raise _own_error(error) or error from error


def _loop(config: dict[str, Any]) -> None:
    """What every process does."""
    set_up_output()
    model, train, folder = config["model"], config["train"], config["folder"]
    if not folder.is_dir():
        raise DataError(
            f"{folder}, where the command was given, is not on every node: give it in a folder "
            "that all nodes share."
        )
    os.chdir(folder)  # out of one of Ray's own, where relative paths would lead elsewhere
    record = open_run(model, train)
    with storage_errors(train.output, CONTINUES):
        train.output.mkdir(parents=True, exist_ok=True)
        Trainer(model, train, record).run()


def _own_error(error: Any) -> HLLMError | None:
    """The sentence of a process that failed, if it is one; None: the failure is none of ours."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause: BaseException | None = failure
        while cause is not None:
            if isinstance(cause, HLLMError):
                return DataError(str(cause))
            cause = cause.__cause__ or cause.__context__
    return None
