import pytest
import torch
from transformers import MistralConfig

from hllm.checkpoint import save_model
from hllm.errors import CheckpointError
from hllm.serving.user_model import has_cuda, load_user_model
from tests.hllm.serving.conftest import SIZES


def test_what_is_impossible_is_said(folder, make_hllm, tmp_path, tokenizer):
    with pytest.raises(CheckpointError, match="int3: choose from auto, fp32"):
        load_user_model(folder, "int3")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="nf4 needs a CUDA device"):
            load_user_model(folder, "nf4")
    other = make_hllm(MistralConfig(**SIZES))
    save_model(other, tmp_path / "mistral", tokenizer)
    with pytest.raises(CheckpointError, match="Llama-shaped"):
        load_user_model(tmp_path / "mistral", "int4", cache=tmp_path)


def test_it_says_how_many_bytes_its_weights_take(folder, tmp_path):
    exact = load_user_model(folder, "fp32")
    few_bits = load_user_model(folder, "int8", cache=tmp_path)
    assert exact.num_parameters == few_bits.num_parameters > 0
    assert exact.num_bytes >= 4 * exact.num_parameters > few_bits.num_bytes > 0


def test_a_device_that_is_lent_to_other_processes_is_not_ours(folder, monkeypatch):
    """On ZeroGPU torch says of every process that it has one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert has_cuda()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert not has_cuda()
    assert load_user_model(folder).device == "cpu"
