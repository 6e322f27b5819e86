"""Ray Train with two local processes: the losses of torchrun, and errors as sentences."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hllm.cluster.ray_train import train_on_cluster
from hllm.errors import DataError
from hllm.train import parse_options
from tests.hllm.training.conftest import small, write_data  # noqa: F401  fixtures
from tests.hllm.training.runs import SMALL, argv, read_log

ROOT = Path(__file__).parents[3]


def test_what_is_wrong_with_the_options_is_said_before_ray_starts(small, tmp_path):  # noqa: F811
    output = tmp_path / "out"
    output.mkdir()
    (output / "model.safetensors").write_text("of another run")
    with pytest.raises(DataError):
        train_on_cluster(*parse_options(argv(small, output, **SMALL)), 2)


@pytest.mark.long
def test_two_processes_train_as_under_torchrun(small, tmp_path, capfd):  # noqa: F811
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    options = {**SMALL, "item_training": "full", "shard": "yes", "user_layers": 2}
    train_on_cluster(*parse_options(argv(small, tmp_path / "ray", **options)), 2)
    said = "".join(capfd.readouterr())
    assert "best ndcg@10" in said  # what a worker says
    assert "Failed to query" not in said and "object store" not in said
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2"]
    subprocess.run(
        [*command, f"--master_port={port}", "-m", "hllm.train",
         *argv(small, tmp_path / "torchrun", **options)],
        cwd=ROOT, check=True, timeout=600, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    losses = [read_log(tmp_path / name, "train", "loss") for name in ("ray", "torchrun")]
    assert len(losses[0]) == 2
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert (tmp_path / "ray" / "embeddings.safetensors").is_file()
