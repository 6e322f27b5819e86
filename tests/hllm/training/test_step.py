"""One step: every item once, and two processes as one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hllm.training.batches import make_batch
from hllm.training.item_encoder import WholeItems
from hllm.training.step import HLLMStep

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_two_processes_train_as_one_on_the_same_global_batch(ring):
    """gloo: loss and gradients; histories of unequal length, negatives shared by both ranks."""
    script = ROOT / "tests" / "hllm" / "training" / "two_process_loss.py"
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(ring)]
    printed = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert printed.returncode == 0, printed.stderr[-2000:]
    one, two = json.loads(printed.stdout.splitlines()[-1])
    assert two == pytest.approx(one, abs=1e-5)


class Counting:
    """An item encoder that notes what it is asked for."""

    def __init__(self, model, token_ids):
        self.model, self.asked = model, []
        self._whole = WholeItems(model, token_ids)

    def embed(self, items):
        self.asked.append(items.tolist())
        return self._whole.embed(items)


def test_every_item_is_encoded_once(tiny_model, token_ids):
    """Items of two histories, of both sides of a pair and among the negatives."""
    items = Counting(tiny_model, [[1], *token_ids])
    batch = make_batch([np.array([1, 2, 1]), np.array([2, 3])], np.arange(1, 6), 40, seed=(0, 1))
    _, stats = HLLMStep(items)(batch)
    wanted = {*batch.items.flatten().tolist(), *batch.negatives.tolist()}
    assert items.asked == [sorted(wanted)]
    assert stats == {"unique_items": len(wanted), "positions": 3.0}


def test_dropout_is_on_what_the_user_model_reads_only(tiny_model, token_ids):
    step = HLLMStep(WholeItems(tiny_model, [[1], *token_ids]), dropout=0.5).train()
    batch = make_batch([np.array([1, 2, 1]), np.array([2, 3])], np.arange(1, 6), 4, seed=(0, 1))
    dropped = step._embed(batch)
    whole = step.eval()._embed(batch)
    zeros = dropped.histories == 0
    assert 0.2 < zeros.float().mean() < 0.8
    torch.testing.assert_close(dropped.histories[~zeros], 2 * whole.histories[~zeros])
    assert dropped.targets.equal(whole.targets)
    assert dropped.negatives.equal(whole.negatives)
