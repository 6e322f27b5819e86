"""What training leaves as it is does not stand in a state, and nothing else is missing there."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from hllm.errors import CheckpointError
from hllm.training import trainer as training
from tests.hllm.gguf_files import install
from tests.hllm.training.runs import SMALL, losses, trainer

LORA = SMALL | {
    "item_llm": "tiny",
    "user_llm": "tiny",
    "item_adapter": "mlp",
    "item_adapter_hidden_size": 8,
    "item_pooling": "item_token",
    "user_training": "lora",
    "learning_rate": 0.01,
    "lr_schedule": "constant",
    "eval_every": 1,
}


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)


def state_of(output):
    (folder,) = (output / "state").iterdir()
    return folder


def stop_after_one_step(small, output):
    trainer(small, output, **LORA | {"max_steps": 1}).run()
    return state_of(output)


def test_a_state_holds_what_training_changes(small, tmp_path):
    folder = stop_after_one_step(small, tmp_path / "run")
    names = load_file(folder / "model.safetensors").keys()
    towers = [name for name in names if "item_llm." in name or "user_llm." in name]
    assert towers
    assert all(".lora_" in name for name in towers)
    # Neither is trained here, but the whitening was fitted, which need not give the same again.
    assert {"model.item_adapter.whiten.weight", "model.item_emb_tokens"} <= set(names)


def test_a_stopped_run_goes_on_to_the_same_weights(small, tmp_path):
    trainer(small, tmp_path / "whole", **LORA).run()
    stop_after_one_step(small, tmp_path / "part")
    trainer(small, tmp_path / "part", **LORA).run()
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    one, other = (
        load_file(state_of(tmp_path / name) / "model.safetensors") for name in ("part", "whole")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_state_of_an_earlier_version_with_all_weights_continues(small, tmp_path, monkeypatch):
    trainer(small, tmp_path / "whole", **LORA).run()
    with monkeypatch.context() as before:
        before.setattr(training, "leave_out_frozen", lambda accelerator: None)
        folder = stop_after_one_step(small, tmp_path / "part")
    names = load_file(folder / "model.safetensors").keys()
    assert any(".base_layer." in name for name in names)
    trainer(small, tmp_path / "part", **LORA).run()
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")


def test_a_state_over_other_frozen_weights_is_refused(small, tmp_path):
    stop_after_one_step(small, tmp_path / "run")
    run = trainer(small, tmp_path / "run", **LORA)
    with torch.no_grad():
        run.trainee.model.user_llm.layers[0].mlp.up_proj.base_layer.weight[0, 0] += 1e-3
    with pytest.raises(CheckpointError, match="goes on from other frozen weights"):
        run.run()


def test_a_state_that_lacks_a_trained_weight_is_refused(small, tmp_path, monkeypatch):
    folder = stop_after_one_step(small, tmp_path / "run")
    run = trainer(small, tmp_path / "run", **LORA)
    path = folder / "model.safetensors"
    stored = load_file(path)
    stored.pop("model.logit_scale")
    save_file(stored, path)
    monkeypatch.setattr(training, "find_state", lambda *_: folder)
    with pytest.raises(CheckpointError, match=r"model\.logit_scale is in only one of both"):
        run.run()
