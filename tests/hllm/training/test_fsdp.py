"""Sharded training in two processes (gloo): the numbers of unsharded training, half the memory."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hllm.baselines.id_models import load_id_model
from hllm.checkpoint import load_model
from hllm.errors import DataError
from hllm.train import parse_options
from hllm.training.fsdp import check_shardable
from tests.hllm.training.runs import argv, read_log

ROOT = Path(__file__).parents[3]
KINDS = {
    "full": {"item_training": "full", "item_pooling": "item_token", "item_adapter": "mlp"},
    "lora": {"item_training": "lora"},
    "top": {"item_training": "top"},
    "frozen": {"item_training": "frozen"},
    "early": {"item_training": "full", "objective": "early_fusion"},
    "late": {"item_training": "lora", "objective": "late_fusion"},
    "bf16": {"item_training": "full", "precision": "bf16"},
    "recomputed": {"item_training": "lora", "gradient_checkpointing": True},
    "reference": {"item_training": "full", "reference_compatible": True},
    "sasrec": {"model_kind": "sasrec"},
    "esasrec": {"model_kind": "esasrec", "id_cosine": "no"},
    "hstu": {"model_kind": "hstu"},
    "id-llama": {"model_kind": "id-llama"},
}
# Validates before the first step.
START = KINDS["full"] | {"start_from": "full-yes", "max_steps": 2, "eval_every": 2}
LONG = {"item_training": "full", "dropout": 0.2, "max_steps": 9, "eval_every": 3}


def options(folder, name, **changes):
    values = {
        "user_layers": 2, "max_steps": 5, "eval_every": 5, "item_learning_rate": 0.001,
        "clip_norm": 0.5,
    } | changes  # fmt: skip
    if "start_from" in values:
        values["start_from"] = folder / values["start_from"]
    return argv(folder, folder / name, **values)


def planned(folder):
    runs = [
        {
            "name": f"{kind}-{shard}",
            "argv": options(folder, f"{kind}-{shard}", shard=shard, **model),
        }
        for kind, model in (KINDS | {"start": START, "long": LONG}).items()
        for shard in ("no", "yes")
    ]
    again = options(folder, "killed", shard="yes", **LONG)
    full = KINDS["full"]
    return [
        *runs,
        {
            "name": "foreach",
            "argv": options(folder, "foreach", shard="yes", **full),
            "foreach": True,
        },
        {"name": "killed", "argv": again, "dies_at": 7},  # one step behind the last saved state
        {"name": "resumed", "argv": again},
        {"name": "to-whole", "argv": options(folder, "full-yes", shard="no", **full)},
        {"name": "to-parts", "argv": options(folder, "full-no", shard="yes", **full)},
        {"name": "other", "argv": options(folder, "full-yes", shard="yes", **full, user_size=32)},
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_data):
    """All runs, done."""
    walks = [(user, 5 + user % 6) for user in range(42)]  # the last of three batches is short
    folder = write_data(tmp_path_factory.mktemp("runs"), walks)
    (folder / "runs.json").write_text(json.dumps(planned(folder)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         f"--master_port={port}", "tests/hllm/training/sharded_runs.py", folder / "runs.json"],
        cwd=ROOT, check=True, timeout=900,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return folder


def log(folder, name, kind, key):
    return read_log(folder / name, kind, key)


def seen(folder, name):
    return [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]


def weights(folder, name):
    load = (
        load_id_model if name.split("-")[0] in ("sasrec", "esasrec", "hstu", "id") else load_model
    )
    return load(folder / name)[0].state_dict()


def assert_equal_runs(folder, one, other):
    assert log(folder, one, "train", "loss") == pytest.approx(
        log(folder, other, "train", "loss"), abs=1e-5
    )
    assert log(folder, one, "valid", "ndcg@10") == pytest.approx(
        log(folder, other, "valid", "ndcg@10"), abs=1e-6
    )
    expected = weights(folder, other)
    for name, value in weights(folder, one).items():
        torch.testing.assert_close(value, expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "start"])
def test_sharded_run_equals_the_unsharded_one(folder, kind):
    assert_equal_runs(folder, f"{kind}-yes", f"{kind}-no")
    for sharded, unsharded in zip(
        seen(folder, f"{kind}-yes"), seen(folder, f"{kind}-no"), strict=True
    ):
        assert sharded["norms"] == pytest.approx(unsharded["norms"], rel=1e-4)
        assert len(sharded["norms"]) == (2 if kind == "start" else 5)
    if kind not in ("reference", "esasrec"):  # does not clip; has smaller gradients
        assert max(sharded["norms"]) == pytest.approx(0.5, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_process_holds_half(folder, kind):
    for rank in seen(folder, f"{kind}-yes"):
        for held, of_all in (rank["parameters"], rank["moments"]):
            assert held == pytest.approx(of_all / 2, rel=0.03)
        assert rank["gathered"] == 0
    assert seen(folder, f"{kind}-no")[0]["gathered"] > 0


@pytest.mark.slow
def test_layers_are_parts_again_before_the_backward_pass(folder):
    for rank in seen(folder, "full-yes"):
        held, of_all = rank["between"]
        assert held == pytest.approx(of_all / 2, rel=0.03)


@pytest.mark.slow
def test_processes_with_fewer_batches_of_items_run_as_many(folder):
    """Else a layer would wait for ever for the other process."""
    ranks = [rank["batches"] for rank in seen(folder, "full-yes")]
    assert any(
        calls[0] != calls[1] for calls in zip(*([c for c, _ in r] for r in ranks), strict=True)
    )
    assert [most for _, most in ranks[0]] == [
        max(calls) for calls in zip(*([c for c, _ in r] for r in ranks), strict=True)
    ]


@pytest.mark.slow
def test_optimizer_of_a_gpu_updates_the_same(folder):
    """All tensors of a group at once: sharded ones and the log-scale, which is whole."""
    assert_equal_runs(folder, "foreach", "full-yes")


@pytest.mark.slow
def test_killed_run_continues_with_the_same_losses_and_weights(folder):
    assert log(folder, "killed", "train", "loss") == log(folder, "long-yes", "train", "loss")
    assert len(log(folder, "killed", "train", "loss")) == 9
    assert len(seen(folder, "resumed")[0]["norms"]) == 3  # from step 6 on
    expected = weights(folder, "long-yes")
    assert all(value.equal(expected[name]) for name, value in weights(folder, "killed").items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["to-whole", "to-parts", "other"])
def test_resuming_another_kind_of_run_is_one_clear_error(folder, name):
    for rank in seen(folder, name):
        assert "holds a run that differs" in rank["error"]


@pytest.mark.parametrize(
    ("processes", "item_training", "message"),
    [(1, "lora", "several processes"), (2, "qlora", "4 bits cannot be sharded; choose lora")],
)
def test_what_cannot_be_sharded_is_one_clear_error(tmp_path, processes, item_training, message):
    model, run = parse_options(options(tmp_path, "run", shard="yes", item_training=item_training))
    with pytest.raises(DataError, match=message):
        check_shardable(model, run, processes)
