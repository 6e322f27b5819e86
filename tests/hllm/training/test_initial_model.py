"""What a run starts from: pretrained folders, trained models, a base in 4 bits."""

import pytest
import torch
from safetensors.torch import load_file

from hllm.checkpoint import load_model
from hllm.embed import encode_catalog
from hllm.errors import CheckpointError
from hllm.training import initial_model
from hllm.training.qlora import Base4bit
from tests.hllm.training.runs import RING, small_trainer, train_ring, trainer

LEARNS = {"epochs": 6, "eval_every": 48, "dropout": 0}


@pytest.mark.parametrize("first", ["lora", "full"])
@pytest.mark.parametrize("second", ["frozen", "top", "lora", "full"])
def test_any_way_of_training_starts_from_any_other(ring, tmp_path, first, second):
    # Large steps, so that the Item LLM is far from its pretrained weights.
    common = {"item_adapter": "linear", "max_steps": 2, "item_learning_rate": 0.05}
    train_ring(ring, tmp_path / "first", item_training=first, **common)
    start = tmp_path / "first"
    changes = RING | common | {"item_training": second, "start_from": start}
    run = trainer(ring, tmp_path / "second", **changes)
    old, tokenizer = load_model(start)
    texts = ["title: Dune", "title: Emma", ""]
    new = run.trainee.model.cpu().eval()
    expected = encode_catalog(old, tokenizer, texts, progress=False)
    torch.testing.assert_close(
        encode_catalog(new, tokenizer, texts, progress=False), expected, atol=1e-4, rtol=1e-4
    )


def test_starting_from_another_kind_of_model_is_one_clear_error(ring, tmp_path):
    train_ring(ring, tmp_path / "first", user_size=16, max_steps=1)
    with pytest.raises(CheckpointError, match=r"--start_from .*first does not fit|lacks"):
        train_ring(ring, tmp_path / "second", user_size=8, start_from=tmp_path / "first")


def test_starting_from_a_model_keeps_what_it_knows(ring, tmp_path):
    _, first = train_ring(ring, tmp_path / "first", **LEARNS)
    _, second = train_ring(
        ring,
        tmp_path / "second",
        start_from=tmp_path / "first",
        item_training="lora",
        max_steps=2,
        learning_rate=1e-6,
        item_learning_rate=1e-6,
    )
    assert second["ndcg@10"] == pytest.approx(first["ndcg@10"], abs=0.02)


@pytest.mark.parametrize("pretrained", [True, False])
def test_user_llm_of_a_folder_with_its_weights_or_random_ones(small, tmp_path, pretrained):
    made = small_trainer(
        small,
        tmp_path / "run",
        user_llm=small / "item_llm",
        user_pretrained=pretrained,
    ).trainee.step.model
    stored = load_file(small / "item_llm" / "model.safetensors")
    own = made.user_llm.state_dict()
    assert {name: value.shape for name, value in own.items()} == {
        name: value.shape for name, value in stored.items() if "embed_tokens" not in name
    }
    assert all(value.equal(stored[name]) for name, value in own.items()) == pretrained


def test_qlora_trains_resumes_and_saves_what_it_trained(small, tmp_path, monkeypatch):
    """On the CPU, where bitsandbytes is slow but computes the same."""
    monkeypatch.setattr(initial_model, "_require_cuda", lambda: None)
    options = {"item_training": "qlora", "learning_rate": 0.01, "item_learning_rate": 0.01}
    run = small_trainer(small, tmp_path / "run", **options)
    step = run.trainee.step
    quantised = [module for module in step.modules() if isinstance(module, Base4bit)]
    assert len(quantised) == 14  # all linear layers of two Llama layers
    before = [module.rounded().clone() for module in quantised]
    run.run()
    assert all(m.rounded().equal(b) for m, b in zip(quantised, before, strict=True))
    trained = encode_catalog(step.model.eval(), run.trainee.texts.tokenizer, ["abc", "d"])
    again = small_trainer(small, tmp_path / "run", **options)
    again._resume()
    state = again.trainee.step.state_dict()
    assert again.progress.step == 2
    assert all(value.equal(state[name]) for name, value in step.state_dict().items())
    assert any("lora_B" in name and value.abs().sum() > 0 for name, value in state.items())
    if run.progress.best_step == 2:
        model, tokenizer = load_model(tmp_path / "run")
        torch.testing.assert_close(encode_catalog(model, tokenizer, ["abc", "d"]), trained)
