"""Tiny training runs: what the tests of training have in common."""

import json

from hllm.train import parse_options
from hllm.training.trainer import Trainer

NUM_ITEMS = 24
TINY = {
    "item_prompt": "",  # short texts: the tests' Item LLM reads bytes
    "user_size": 16,
    "user_layers": 1,
    "user_heads": 2,
    "item_adapter": "linear",
    "batch_size": 8,
    "num_negatives": 8,
    "max_history": 8,
    "dropout": 0,
    "warmup": 0,
}


def argv(data, output, **changes):
    """The command line of a run on a folder that write_data made."""
    values = {
        "interactions": data / "interactions.csv",
        "items": data / "items.csv",
        "item_llm": data / "item_llm",
        "output": output,
    }
    return [f"--{name}={value}" for name, value in (values | TINY | changes).items()]


def trainer(data, output, **changes):
    return Trainer(*parse_options(argv(data, output, **changes)))


def read_log(output, kind, key):
    records = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [record[key] for record in records if record["kind"] == kind]


def losses(output):
    return read_log(output, "train", "loss")


RING = {  # the data set that can be learned
    "item_adapter": "mlp",
    "item_adapter_hidden_size": 32,
    "epochs": 2,
    "batch_size": 16,
    "num_negatives": 16,
    "learning_rate": 0.01,
    "warmup": 0.05,
    "dropout": 0.2,
}
SMALL = {"max_history": 6, "max_steps": 2, "eval_every": 2}


def train_ring(ring, output, **changes):
    made = trainer(ring, output, **RING | changes)
    return made, made.run()


def small_trainer(small, output, **changes):
    return trainer(small, output, **SMALL | changes)
