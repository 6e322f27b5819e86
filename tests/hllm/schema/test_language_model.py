"""The configuration of a folder's language model, from config.json or from a GGUF."""

import json

import pytest
from transformers import AutoConfig

from hllm.errors import CheckpointError
from hllm.schema.language_model import read_language_model
from tests.hllm.gguf_files import SIZES, tiny_llama, write_gguf


def test_both_kinds_of_folders_say_the_same(tmp_path):
    for name in ("gguf", "json"):
        (tmp_path / name).mkdir()
    write_gguf(tmp_path / "gguf" / "tiny.gguf")
    tiny_llama().config.save_pretrained(tmp_path / "json")
    one, other = (
        AutoConfig.for_model(**read_language_model(tmp_path / name)).to_dict()
        for name in ("gguf", "json")
    )
    noise = {"architectures", "dtype", "transformers_version"}
    assert {k: v for k, v in one.items() if k not in noise} == {
        k: v for k, v in other.items() if k not in noise
    }


def test_sizes_of_a_gguf_are_checked_as_those_of_config_json(tmp_path):
    write_gguf(tmp_path / "tiny.gguf", metadata={"llama.vocab_size": 2**32 - 1})
    with pytest.raises(CheckpointError, match=r"tiny.gguf: vocab_size is 4294967295, but must be"):
        read_language_model(tmp_path)


def test_config_json_counts_more_than_a_gguf_beside_it(tmp_path):
    write_gguf(tmp_path / "tiny.gguf")
    config = tiny_llama().config.to_dict() | {"num_hidden_layers": 5}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_language_model(tmp_path)["num_hidden_layers"] == 5 != SIZES["num_hidden_layers"]
