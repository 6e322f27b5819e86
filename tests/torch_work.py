"""Whatever torch there is: import all of app and hllm, answer, write a new item, train.

Run as a program by the Python of another environment, in the project's folder:

    python -m tests.torch_work FOLDER

prints what it has found as JSON; whoever runs it does the same and compares.
"""

import json
import pkgutil
import resource
import sys
from importlib import import_module
from pathlib import Path

HISTORY = ["dune-herbert", "solaris-lem", "emma-austen"]
WRITTEN = {"title": "A funny heist on Mars", "description": "A thief, a rover and no air."}
NUM_ITEMS = 24
TRAININGS = {
    "frozen": {"item_training": "frozen"},
    "lora": {"item_training": "lora"},
    "full": {"item_training": "full", "item_llm_layers": 2, "gradient_checkpointing": "yes"},
    "id": {"model_kind": "hstu"},
}


def main():
    # Before torch, as app.py does: the package `spaces` replaces parts of it.
    found = {"modules": imported()}
    import torch

    import hllm.item_states

    torch.set_num_threads(1)
    # A processor that has it would make states in bfloat16, which are not the same to 1e-4.
    hllm.item_states.cpu_has_fast_bfloat16 = lambda: False
    found |= {"torch": torch.__version__, "python": sys.version.split()[0]}
    found |= worked(Path(sys.argv[1]))
    found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


def imported():
    """The names of all modules of both packages, each of which has been imported."""
    import app.zerogpu
    import hllm

    names = [
        module.name
        for package in (app, hllm)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.endswith(".__main__")  # which run a command
    ]
    for name in names:
        import_module(name)
    return names


def worked(folder):
    """What the built-in model answers, and the losses of a few steps of training."""
    return {"scores": answered(), "losses": {name: trained(folder, name) for name in TRAININGS}}


def answered():
    """Item id -> score: of the whole catalogue, for a history with an item that was just written.

    The User LLM, the Item LLM and the search.
    """
    from hllm.recommend import Recommender

    recommender = Recommender.from_pretrained("assets/books/model")
    found = recommender.recommend([*HISTORY, WRITTEN], top_k=recommender.num_items)
    return {item.item_id: item.score for item in found.items}


def trained(folder, name):
    """The losses of the first steps of a training."""
    from hllm.train import main

    data, output = folder / "data", folder / name
    write_data(data)
    options = {
        "interactions": data / "interactions.csv", "items": data / "items.csv", "output": output,
        "user_size": 32, "user_layers": 1, "user_heads": 2, "max_history": 6, "batch_size": 8,
        "num_negatives": 16, "max_steps": 4, "eval_every": 2, "dropout": 0, "precision": "fp32",
    }  # fmt: skip
    words = [f"--{key}={value}" for key, value in (options | TRAININGS[name]).items()]
    assert main(words) == 0
    records = map(json.loads, (output / "log.jsonl").read_text().splitlines())
    return [record["loss"] for record in records if record["kind"] == "train"]


def write_data(data):
    """Readers who walk along a ring of items."""
    data.mkdir(exist_ok=True)
    rows = [
        f"i{n},The tale of {n * 7919 % 997} {'very ' * (n % 5)}old ships" for n in range(NUM_ITEMS)
    ]
    (data / "items.csv").write_text("\n".join(["item_id,title", *rows]))
    rows = [
        f"i{(user * 5 + step) % NUM_ITEMS},u{user},{step}"
        for user in range(32)
        for step in range(4 + user % 4)
    ]
    (data / "interactions.csv").write_text("\n".join(["item_id,user_id,timestamp", *rows]))


if __name__ == "__main__":
    main()
