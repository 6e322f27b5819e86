"""Run by test_step: the loss and gradient of one global batch, by one process and by two (gloo).

Prints a JSON list of two lists: [loss, gradient norms ...] of one process, then of two.
"""

import json
import os
import sys

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from transformers import AutoTokenizer

from hllm.checkpoint import build_model
from hllm.config import HLLMConfig
from hllm.text import tokenize
from hllm.training.batches import TrainBatch, make_batch
from hllm.training.item_encoder import WholeItems
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.training.step import HLLMStep


def global_batch():
    rng = np.random.default_rng(0)
    chunks = [rng.integers(1, 25, length) for length in (8, 3, 5, 2, 8, 6)]
    return make_batch(chunks, np.arange(1, 25), 12, seed=(1, 2))


def part(batch, rank):
    half = len(batch.negatives) // 2
    rows = slice(rank, None, 2)
    negatives = batch.negatives[rank * half : (rank + 1) * half]
    return TrainBatch(batch.items[rows], batch.mask[rows], negatives)


def measure(folder, batch, world):
    torch.manual_seed(0)
    options = ModelOptions(
        item_llm=folder, item_training="full", item_adapter="linear", user_size=16,
        user_layers=1, user_heads=2, item_pooling="item_token",
    )  # fmt: skip
    config: HLLMConfig = make_config(options)
    model = build_model(config, item_weights=folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    token_ids = tokenize(tokenizer, [f"title: {n * 7919 % 997}" for n in range(25)], 64)
    step = HLLMStep(WholeItems(model, token_ids))
    loss, _ = step(batch)
    loss.backward()
    total = loss.detach()
    values = []
    for parameter in (model.item_emb_tokens, model.logit_scale, *model.user_llm.parameters()):
        gradient = parameter.grad.clone()
        if world > 1:  # what data-parallel training does
            dist.all_reduce(gradient)
            gradient /= world
        values.append(gradient.norm().item())
    if world > 1:
        dist.all_reduce(total)
        total /= world
    return [total.item(), *values]


def worker(rank, folder, port, path):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    dist.init_process_group("gloo", rank=rank, world_size=2)
    values = measure(folder, part(global_batch(), rank), 2)
    if rank == 0:
        with open(path, "w") as stream:
            json.dump(values, stream)
    dist.destroy_process_group()


def main(data):
    folder, path = f"{data}/item_llm", f"{data}/two.json"
    one = measure(folder, global_batch(), 1)
    port = 29500 + os.getpid() % 1000
    mp.spawn(worker, args=(folder, port, path), nprocs=2)
    with open(path) as stream:
        sys.stdout.write(json.dumps([one, json.load(stream)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
