"""What "auto" means for a model and a machine."""

from transformers import LlamaConfig, MistralConfig

from hllm.model_folder import ModelFolder
from hllm.serving.precision import choose_precision
from tests.hllm.serving.conftest import SIZES


def test_the_choice_for_a_machine(folder):
    config = ModelFolder(folder).config.user_config
    assert choose_precision(config, 1_000_000, has_cuda=True) == "fp32"
    assert choose_precision(config, 134_515_008, has_cuda=True) == "fp32"
    assert choose_precision(config, 134_515_008, has_cuda=False) == "int8"
    assert choose_precision(config, 1_000_000_000, has_cuda=True) == "nf4"
    assert choose_precision(config, 1_000_000_000, has_cuda=False) == "int4"
    narrow = LlamaConfig(**SIZES | {"head_dim": 8})
    assert choose_precision(narrow, 134_515_008, has_cuda=False) == "fp32"
    assert choose_precision(narrow, 1_000_000_000, has_cuda=False) == "fp32"
    config = MistralConfig(**SIZES)
    assert choose_precision(config, 1_000_000_000, has_cuda=False) == "fp32"
