"""What "auto" means for a model and a machine."""

from transformers import LlamaConfig, MistralConfig

from hllm.model_folder import ModelFolder
from hllm.serving.precision import on_zerogpu, precision_choices
from tests.hllm.serving.conftest import SIZES


def test_the_choice_for_a_machine(folder):
    config = ModelFolder(folder).config.user_config
    assert precision_choices(config, 1_000_000, has_cuda=True) == ("fp32",)
    assert precision_choices(config, 1_300_000, has_cuda=False) == ("fp32",)
    assert precision_choices(config, 14_160_960, has_cuda=False) == ("fp32", "int8")
    assert precision_choices(config, 134_515_008, has_cuda=True) == ("fp32",)
    assert precision_choices(config, 134_515_008, has_cuda=False) == ("fp32", "int8")
    assert precision_choices(config, 1_000_000_000, has_cuda=True) == ("nf4",)
    assert precision_choices(config, 1_000_000_000, has_cuda=False) == ("int8", "int4")
    narrow = LlamaConfig(**SIZES | {"head_dim": 8})
    assert precision_choices(narrow, 134_515_008, has_cuda=False) == ("fp32",)
    assert precision_choices(narrow, 1_000_000_000, has_cuda=False) == ("fp32",)
    config = MistralConfig(**SIZES)
    assert precision_choices(config, 1_000_000_000, has_cuda=False) == ("fp32",)


def test_zerogpu_is_told_by_its_variable():
    assert on_zerogpu({"SPACES_ZERO_GPU": "true"}) and on_zerogpu({"SPACES_ZERO_GPU": "1"})
    assert not on_zerogpu({}) and not on_zerogpu({"SPACES_ZERO_GPU": "false"})
