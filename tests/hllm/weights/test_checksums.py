"""Checksums of tensors: any changed bit is noticed when the tensor is read."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hllm.baselines.id_models import (
    IDModelConfig,
    load_id_model,
    make_id_model,
    save_id_model,
)
from hllm.checkpoint import load_model, load_user_llm, save_model
from hllm.errors import CheckpointError
from hllm.model_folder import ModelFolder
from hllm.weights.checksums import (
    ChecksumError,
    TensorDigest,
    VerifiedFile,
    checksum_metadata,
    digest_of,
    stored_digests,
)
from hllm.weights.files import iter_stored

TENSORS = {
    "matrix": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "rounded": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "scale": torch.tensor(3.0),
    "nothing": torch.empty(0, 4, dtype=torch.float16),
}


def flip(path, name):
    """Change one bit of the first number of a tensor, as a rotten disk does."""
    content = bytearray(path.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start = json.loads(content[8 : 8 + header])[name]["data_offsets"][0]
    content[8 + header + start] ^= 1
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path):
    save_file(TENSORS, tmp_path / "w.safetensors", metadata=checksum_metadata(TENSORS))
    return tmp_path / "w.safetensors"


def read(path):
    with safe_open(path, framework="pt") as file:
        verified = VerifiedFile(file)
        return {name: verified.get_tensor(name) for name in file.keys()}


def test_what_was_written_is_read(path):
    found = read(path)
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("name", ["matrix", "rounded", "scale"])
def test_one_changed_bit_is_noticed_in_that_tensor(path, name):
    flip(path, name)
    with pytest.raises(ChecksumError, match=f"numbers of {name} have changed"):
        read(path)


def test_dtype_and_shape_count():
    numbers = torch.zeros(4)
    assert digest_of(numbers) != digest_of(numbers.reshape(2, 2))
    assert digest_of(numbers) != digest_of(numbers.view(torch.int32))


def test_a_digest_in_parts_is_the_digest_of_the_whole():
    digest = TensorDigest(torch.float32, (3, 4))
    for row in TENSORS["matrix"]:
        digest.update(row)
    assert digest.hexdigest() == digest_of(TENSORS["matrix"])


def test_a_file_without_checksums_is_read_as_it_is(tmp_path):
    save_file(TENSORS, tmp_path / "old.safetensors")
    assert set(read(tmp_path / "old.safetensors")) == set(TENSORS)


@pytest.mark.parametrize("entry", ["[]", "{", "1"])
def test_a_damaged_table_of_checksums_is_no_table(entry):
    with pytest.raises(ChecksumError, match="its checksums"):
        stored_digests({"sha256": entry})


def test_a_model_folder_notices_changed_weights(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    name = "user_llm.layers.0.mlp.up_proj.weight"
    flip(tmp_path / "model.safetensors", name)
    for load in (load_model, load_user_llm, lambda folder: list(iter_stored(folder))):
        with pytest.raises(CheckpointError, match=f"damaged .the numbers of {name} have changed"):
            load(tmp_path)


def test_the_fingerprint_is_that_of_the_numbers_alone(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    before = ModelFolder(tmp_path).fingerprint
    save_file(dict(iter_stored(tmp_path)), tmp_path / "model.safetensors")  # without checksums
    assert ModelFolder(tmp_path).fingerprint == before


def test_an_id_model_notices_changed_weights(tmp_path):
    config = IDModelConfig(kind="sasrec", num_items=5, hidden_size=8, num_heads=2)
    model = make_id_model(config)
    save_id_model(model, tmp_path, [str(n) for n in range(5)])
    loaded, _ = load_id_model(tmp_path)
    name = next(iter(loaded.state_dict()))
    flip(tmp_path / "model.safetensors", name)
    with pytest.raises(CheckpointError, match=f"numbers of {name} have changed"):
        load_id_model(tmp_path)
