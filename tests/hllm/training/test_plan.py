"""The plan of a sharded step: shapes of real models, and what a run of two processes measures."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, LlamaConfig, LlamaModel

from hllm.errors import DataError
from hllm.training.plan import (
    PAIRS,
    StepShape,
    TowerShape,
    largest_batch,
    memory,
    operations,
    traffic,
)
from tests.hllm.training.planned_runs import COUNTED, TOKENS_PER_BATCH
from tests.hllm.training.runs import argv

ROOT = Path(__file__).parents[3]
ITEM = TowerShape(width=512, inner=1408, layers=4, heads=4, key_value_heads=4, vocabulary=259)
USER = TowerShape(width=512, inner=1024, layers=1, heads=4, key_value_heads=4)
STEP = StepShape(
    ITEM, USER, processes=2, batch_size=4, history=8, negatives=8, text_tokens=16, bf16=False,
    tokens_per_batch=TOKENS_PER_BATCH,
)  # fmt: skip
RUNS = {"recomputed": True, "kept": False}


def parameters(tower):
    """Of a real model of this shape."""
    config = LlamaConfig(
        hidden_size=tower.width, intermediate_size=tower.inner, num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads, num_key_value_heads=tower.key_value_heads,
        vocab_size=tower.vocabulary or 1, pad_token_id=None,
    )  # fmt: skip
    with torch.device("meta"):
        model = LlamaModel(config)
    if not tower.vocabulary:
        model.set_input_embeddings(None)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_parameters_are_those_of_transformers_models(pair):
    assert StepShape(*pair).parameters == sum(map(parameters, pair))


def test_shards_share_out_and_negatives_add_up():
    one = StepShape(*PAIRS["7b"])
    small, large = (memory(replace(one, processes=count)) for count in (8, 128))
    assert small.weights == pytest.approx(16 * large.weights)
    assert small.activations == large.activations
    assert small.logits < large.logits
    assert traffic(one) == 0 < traffic(replace(one, processes=8))
    assert operations(one) < operations(replace(one, processes=8)) < 1.01 * operations(one)


def test_the_largest_batch_fits_and_the_next_does_not():
    step, room = StepShape(*PAIRS["1.1b"], processes=8), 80e9
    size = largest_batch(step, room)
    assert memory(replace(step, batch_size=size)).peak <= room
    assert memory(replace(step, batch_size=size + 1)).peak > room
    assert largest_batch(StepShape(*PAIRS["7b"]), room) == 0


def test_numbers_that_make_no_sense_are_one_sentence():
    with pytest.raises(DataError, match="numbers from 1 on, not 0"):
        replace(STEP, processes=0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory, write_data):
    """What two processes (gloo, one thread each) measured of two runs."""
    walks = [(user * 9, 13) for user in range(40)]
    folder = write_data(tmp_path_factory.mktemp("planned"), walks, num_items=400)
    rows = "".join(f"i{n},{n * 7919 % 99991:016d}\n" for n in range(400))  # 16 bytes are tokens
    (folder / "items.csv").write_text(f"item_id,title\n{rows}")
    config = AutoConfig.for_model(
        "llama", hidden_size=ITEM.width, intermediate_size=ITEM.inner,
        num_hidden_layers=ITEM.layers, num_attention_heads=4, num_key_value_heads=4,
        vocab_size=ITEM.vocabulary,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder / "item_llm")
    changes = {
        "item_training": "full", "item_pooling": "item_token", "item_adapter": "none",
        "text_keys": "title", "max_text_tokens": 16, "user_size": USER.width, "user_heads": 4,
        "user_layers": 1, "max_history": 8, "batch_size": 4, "num_negatives": 8, "max_steps": 9,
        "shard": "yes",
    }  # fmt: skip
    runs = {
        name: argv(folder, folder / f"run-{name}", gradient_checkpointing=recomputed, **changes)
        for name, recomputed in RUNS.items()
    }
    (folder / "runs.json").write_text(json.dumps(runs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT),
        "MALLOC_MMAP_THRESHOLD_": "65536",  # what is freed goes back at once, and is not counted
    }  # fmt: skip
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         f"--master_port={port}", "tests/hllm/training/planned_runs.py", folder / "runs.json"],
        cwd=ROOT, check=True, timeout=900, env=os.environ | environment,
    )  # fmt: skip
    return {
        name: [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in (0, 1)]
        for name in RUNS
    }


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_memory_is_as_planned(measured, name):
    need = memory(replace(STEP, recomputed=RUNS[name]))
    for rank in measured[name]:
        grown = rank["peak"] - rank["before"]
        # The weights were there before the first step.
        assert grown == pytest.approx(need.peak - need.weights, rel=0.15)


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_operations_and_traffic_are_as_planned(measured, name):
    for rank in measured[name]:
        # Some items are there twice, and are encoded once.
        twice = STEP.items - int(rank["items"][COUNTED])
        step = replace(STEP, recomputed=RUNS[name], negatives=STEP.negatives - twice)
        assert rank["operations"] == pytest.approx(operations(step), rel=0.03)
        assert rank["received_in_step"] == pytest.approx(traffic(step), rel=0.03)
