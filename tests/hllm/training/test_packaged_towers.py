"""Runs whose two language models lie over packaged weights in GGUF: trained, saved, served."""

import pytest
import torch
from safetensors import safe_open

from hllm.checkpoint import load_model
from hllm.model_folder import ModelFolder
from hllm.recommend import load_hllm
from hllm.serving import precision
from tests.hllm.gguf_files import install
from tests.hllm.training.runs import SMALL, losses, trainer

BASE = {
    "item_llm": "tiny",
    "user_llm": "tiny",
    "item_adapter": "none",
    "item_pooling": "item_token",
    "learning_rate": 0.01,
    "item_learning_rate": 0.01,
}


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)


def stored(folder, tower):
    """Names of what a folder holds of a language model, without LoRA matrices."""
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return {n for n in file.keys() if n.startswith(tower) and "lora_" not in n}


@pytest.mark.parametrize(
    ("item_training", "user_training"),
    [("frozen", "full"), ("lora", "lora"), ("top", "lora"), ("full", "lora")],
)
def test_only_what_training_changed_is_saved(small, tmp_path, item_training, user_training):
    folder = tmp_path / "run"
    changes = SMALL | BASE | {"item_llm_layers": 2, "user_llm_layers": 2}
    run = trainer(
        small, folder, **changes, item_training=item_training, user_training=user_training
    )
    run.run()
    own = stored(folder, "item_llm.")
    expected = {"frozen": 0, "lora": 0, "top": 10, "full": 20}[item_training]  # a layer has 9
    assert len(own) == expected
    assert all(name.startswith(("item_llm.layers.1.", "item_llm.norm.")) for name in own) or (
        item_training == "full"
    )
    assert len(stored(folder, "user_llm.")) == (0 if user_training == "lora" else 19)
    assert ModelFolder(folder).config.item_base == "tiny"
    assert not (folder / "tokenizer.json").exists()
    model, tokenizer = load_model(folder)
    best = run.trainee.model
    ids = tokenizer(["aaa 1", "the b"])["input_ids"]
    with torch.inference_mode():
        torch.testing.assert_close(model.encode_items(ids), best.encode_items(ids))
    found = load_hllm(folder).recommend(["i1", "i2"], top_k=3)
    assert len(found.items) == 3


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_losses(small, tmp_path):
    changes = SMALL | BASE | {"item_training": "lora", "user_training": "lora"}
    changes |= {"lr_schedule": "constant", "eval_every": 1}
    trainer(small, tmp_path / "whole", **changes).run()
    trainer(small, tmp_path / "part", **changes | {"max_steps": 1}).run()
    trainer(small, tmp_path / "part", **changes).run()
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


def test_both_answer_in_4_bits_from_graphs_that_are_kept(small, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "LOW_BITS_FROM_PARAMETERS", 0)
    monkeypatch.setattr(precision, "FOUR_BITS_FROM_PARAMETERS", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder, cache = tmp_path / "run", tmp_path / "graphs"
    changes = SMALL | BASE | {"item_training": "lora", "user_training": "lora"}
    trainer(small, folder, **changes).run()
    recommender = load_hllm(folder, precision="int4", cache=cache)
    assert (recommender.precision, recommender.stages().item.precision) == ("int4", "int4")
    vector = recommender.new_item({"title": "the the 12"}).vector
    graphs = {path: path.stat().st_mtime_ns for path in cache.glob("*/*")}
    assert {path.parent.name[:8] for path in graphs} == {"user-llm", "item-llm"}
    again = load_hllm(folder, precision="int4", cache=cache)
    assert torch.equal(again.new_item({"title": "the the 12"}).vector, vector)
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*/*")} == graphs
    assert len(again.recommend(["i1", "i2"], top_k=3).items) == 3


def test_starting_from_a_tuned_model_keeps_what_it_has_learnt(small, tmp_path):
    changes = SMALL | BASE
    trainer(small, tmp_path / "first", **changes, item_training="full").run()
    # Its base is frozen now, and no longer the package's: it has to be saved all the same.
    second = trainer(
        small, tmp_path / "second", **changes, item_training="frozen", user_training="lora",
        start_from=tmp_path / "first",
    )  # fmt: skip
    second.run()
    first, tokenizer = load_model(tmp_path / "first")
    model, _ = load_model(tmp_path / "second")
    ids = tokenizer(["aaa 1", "the b"])["input_ids"]
    with torch.inference_mode():
        assert torch.equal(model.encode_items(ids), first.encode_items(ids))
    assert (tmp_path / "second" / "tokenizer.json").exists()
