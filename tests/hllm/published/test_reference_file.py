"""Weights as published and as training saves them: opened, or refused with a way out."""

import argparse

import pytest
import torch
from safetensors.torch import save_file

from hllm.errors import CheckpointError
from hllm.published.reference_file import open_reference

STATE = {"item_llm.norm.weight": torch.ones(3), "logit_scale": torch.tensor(2.0)}
PREFIXED = {f"module.{name}": tensor for name, tensor in STATE.items()}


@pytest.mark.parametrize(
    "saved",
    [
        STATE,
        {"model": STATE, "optimizer": {"state": {}}, "epoch": 3, "rng_state": torch.ones(2)},
        PREFIXED,
        {"state_dict": PREFIXED, "config": {"epochs": 1}},
        {"module": {f"_forward_module.{name}": t for name, t in STATE.items()}, "dp_size": 1},
    ],
    ids=["flat", "training state", "prefix", "both", "deepspeed"],
)
def test_the_table_is_found(tmp_path, saved):
    torch.save(saved, tmp_path / "weights.bin")
    found = open_reference(tmp_path / "weights.bin")
    assert list(found) == list(STATE)
    assert all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


def test_safetensors_are_read_too(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    assert sorted(open_reference(tmp_path / "model.safetensors")) == sorted(STATE)
    (tmp_path / "model.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(CheckpointError, match="damaged"):
        open_reference(tmp_path / "model.safetensors")


def test_what_holds_objects_is_refused_with_the_way_to_its_weights(tmp_path):
    path = tmp_path / "HLLM.pt"
    torch.save({"model": STATE, "config": argparse.Namespace(epochs=1)}, path)
    with pytest.raises(CheckpointError, match=r"not opened; .*take the weights out") as caught:
        open_reference(path)
    line = next(part for part in str(caught.value).split("  ") if part.startswith("torch.save("))
    line = line.replace('"pytorch_model.bin"', repr(str(tmp_path / "out.bin")))
    exec(line, {"torch": torch})  # the advice works as it stands
    assert list(open_reference(tmp_path / "out.bin")) == list(STATE)


def test_names_with_and_without_a_prefix_are_refused(tmp_path):
    torch.save(STATE | PREFIXED, tmp_path / "weights.bin")
    with pytest.raises(CheckpointError, match="with and without a prefix"):
        open_reference(tmp_path / "weights.bin")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("checkpoint/mp_rank_00_model_states.pt", r"run  python zero_to_fp32\.py"),
        ("pytorch_model.bin", r"give the file in it, pytorch_model\.bin"),
        ("notes.txt", r"give the reference's pytorch_model\.bin"),
    ],
)
def test_folders_are_named_for_what_they_are(tmp_path, name, message):
    folder = tmp_path / "HLLM-0.pth"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match=message):
        open_reference(folder)


@pytest.mark.parametrize("saved", [{}, {"model": 3}, {"weights": STATE}, [torch.ones(1)], 5])
def test_no_table_of_tensors(tmp_path, saved):
    torch.save(saved, tmp_path / "weights.bin")
    with pytest.raises(CheckpointError, match="not a flat table"):
        open_reference(tmp_path / "weights.bin")
