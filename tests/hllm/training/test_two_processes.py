"""The real command in two processes: the same steps as one process on the same global batches."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hllm.checkpoint import load_model
from hllm.train import parse_options
from hllm.training.batches import TrainBatch, make_batch
from hllm.training.trainer import Trainer
from tests.hllm.training.runs import argv, losses

ROOT = Path(__file__).parents[3]


CHANGES = {
    "item_training": "full", "max_steps": 5, "eval_every": 5, "item_learning_rate": 0.001,
}  # fmt: skip


@pytest.fixture
def data(tmp_path, write_data):
    walks = [(user, 5 + user % 6) for user in range(42)]  # the last of three batches is short
    return write_data(tmp_path, walks)


class OneProcess(Trainer):
    """Sees in one process what two see together."""

    def _batch(self, rows):
        parts = [
            make_batch(
                [self.chunks[row] for row in rows[rank::2]],
                self._drawable,
                self.options.num_negatives,
                seed=(self.options.seed, self.progress.step, rank),
            )
            for rank in range(2)
        ]
        width = max(part.items.shape[1] for part in parts)
        pad = torch.nn.functional.pad
        items = torch.cat([pad(p.items, (0, width - p.items.shape[1])) for p in parts])
        return TrainBatch(items, items[:, 1:] != 0, torch.cat([p.negatives for p in parts]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "shard"), [("generative", "no"), ("generative", "yes"), ("early_fusion", "no")]
)
def test_two_processes_train_as_one(tmp_path, data, objective, shard):
    changes = CHANGES | {"objective": objective}
    pair, one = tmp_path / "pair", tmp_path / "one"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         f"--master_port={port}", "-m", "hllm.train",
         *argv(data, pair, shard=shard, **changes)],
        cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, timeout=300,
    )  # fmt: skip
    if objective == "generative":  # of the click loss, every rank takes other negatives
        OneProcess(*parse_options(argv(data, one, batch_size=16, **changes))).run()
        assert losses(pair) == pytest.approx(losses(one), abs=1e-4)
        expected = load_model(one)[0].state_dict()
        for name, value in load_model(pair)[0].state_dict().items():
            torch.testing.assert_close(value, expected[name], atol=1e-4, rtol=1e-3)
    assert len(losses(pair)) == 5
    assert {path.name for path in (pair / "state").glob("step-*/random_states*")} == {
        "random_states_0.pkl",
        "random_states_1.pkl",
    }
