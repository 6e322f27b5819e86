"""Weight files: one file or shards, written tensor by tensor, read in order of names."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from hllm.errors import CheckpointError
from hllm.weights.checksums import digest_of, stored_digests
from hllm.weights.files import INDEX, iter_stored, read_shapes, weight_files, write_shards
from hllm.weights.nf4_format import TensorSpec

TENSORS = {
    "matrix": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "rounded": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "scale": torch.tensor(3.0),
}


def write(folder, shard_bytes):
    specs = {name: TensorSpec(tuple(value.shape), value.dtype) for name, value in TENSORS.items()}
    return write_shards(folder, specs, lambda names: [TENSORS[n] for n in names], shard_bytes)


@pytest.mark.parametrize(("shard_bytes", "count"), [(10**9, 1), (40, 2)])
def test_what_is_streamed_is_read_by_us_and_by_safetensors(tmp_path, shard_bytes, count):
    files = write(tmp_path, shard_bytes)
    assert weight_files(tmp_path) == files
    assert len(files) == count
    found = dict(iter_stored(tmp_path))
    assert list(found) == sorted(TENSORS)
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())
    theirs = {name: value for file in files for name, value in load_file(file).items()}
    assert all(torch.equal(theirs[name], value) for name, value in TENSORS.items())
    assert read_shapes(tmp_path) == {name: tuple(found[name].shape) for name in found}


@pytest.mark.parametrize("shard_bytes", [10**9, 40])
def test_streamed_files_have_the_checksums_of_what_they_hold(tmp_path, shard_bytes):
    digests = {}
    for file in write(tmp_path, shard_bytes):
        with safe_open(file, framework="pt") as opened:
            digests |= stored_digests(opened.metadata())
    assert digests == {name: digest_of(value) for name, value in TENSORS.items()}


@pytest.mark.parametrize("shard_bytes", [10**9, 40])
def test_a_changed_number_in_any_shard_is_one_clear_error(tmp_path, shard_bytes):
    file = next(f for f in write(tmp_path, shard_bytes) if b'"scale"' in f.read_bytes())
    content = bytearray(file.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start = json.loads(content[8 : 8 + header])["scale"]["data_offsets"][0]
    content[8 + header + start] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="numbers of scale have changed"):
        list(iter_stored(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", '{"weight_map": {"w": "../outside.safetensors"}}'])
def test_a_damaged_index_is_one_clear_error(tmp_path, text):
    (tmp_path / INDEX).write_text(text)
    with pytest.raises(CheckpointError, match="is damaged"):
        weight_files(tmp_path)
