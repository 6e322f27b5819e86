"""Which language models in GGUF are read: a closed list of settings."""

import pytest

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import read_gguf
from hllm.schema.gguf_model import config_values
from tests.hllm.gguf_files import SIZES, write_gguf


def test_the_configuration_is_that_of_the_model(tmp_path):
    values = config_values(read_gguf(write_gguf(tmp_path / "tiny.gguf")))
    rope = values.pop("rope_parameters")
    assert rope == {"rope_type": "default", "rope_theta": SIZES["rope_theta"]}
    for key, value in SIZES.items():
        if key != "rope_theta":
            assert values[key] == value, key
    assert (values["bos_token_id"], values["eos_token_id"], values["pad_token_id"]) == (1, 2, 2)


@pytest.mark.parametrize(
    "metadata",
    [
        {"general.architecture": "qwen2"},
        {"llama.rope.scaling.type": "yarn"},
        {"llama.rope.dimension_count": 8},
        {"llama.block_count": "three"},
        {"llama.rope.freq_base": float("nan")},
        {"llama.expert_count": 8},
    ],
)
def test_what_would_be_computed_otherwise_is_refused(tmp_path, metadata):
    path = write_gguf(tmp_path / "tiny.gguf", metadata=metadata)
    (key,) = metadata
    with pytest.raises(CheckpointError, match=f"{key} is .*not read here: give a folder"):
        config_values(read_gguf(path))


def test_a_size_that_is_missing_is_named(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf", without=["llama.vocab_size"])
    with pytest.raises(CheckpointError, match=r"llama.vocab_size is null"):
        config_values(read_gguf(path))
