"""Every bit of a model folder that a checksum covers, and what is said when one is another."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hllm.commands.checkpoint import main
from hllm.errors import CheckpointError
from hllm.serving.approximate_index import ApproximateIndex
from hllm.store import ItemEmbeddings
from hllm.verify import verify_folder
from hllm.weights.checksums import checksum_metadata


@pytest.fixture
def folder(tmp_path):
    """Weights, embeddings and a search index, as a trained folder holds them."""
    numbers = torch.Generator().manual_seed(0)
    state = {"a": torch.randn(50, generator=numbers), "b": torch.randn(9, generator=numbers)}
    save_file(state, tmp_path / "model.safetensors", metadata=checksum_metadata(state))
    vectors = torch.randn(80, 32, generator=numbers)
    ids = [f"i{n}" for n in range(80)]
    ItemEmbeddings(ids, ["00" * 8] * 80, vectors, "print").save(tmp_path / "embeddings.safetensors")
    ApproximateIndex(ids, vectors, tmp_path / "embeddings.safetensors")
    return tmp_path


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def damaged(folder):
    return [finding.path.name for finding in verify_folder(folder) if finding.problem]


def test_a_whole_folder_is_said_file_by_file(folder, capsys):
    assert main(["verify", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.count(": whole\n") == 3 and "embeddings.safetensors: whole" in said


@pytest.mark.parametrize("ending", ["model.safetensors", "embeddings.safetensors", ".faiss"])
def test_a_bit_that_flips_anywhere_is_found_and_its_file_named(folder, ending, capsys):
    path = next(path for path in folder.iterdir() if path.name.endswith(ending))
    size = path.stat().st_size
    header = 0
    if ending != ".faiss":
        header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    for place in (*range(header, size, max(1, (size - header) // 9)), size - 1):
        flip(path, place)
        assert damaged(folder) == [path.name], place
        assert main(["verify", str(folder)]) == 2
        assert str(path) in capsys.readouterr().err
        flip(path, place)
    assert damaged(folder) == []


def test_what_has_no_checksum_is_said_and_must_be_finite(folder, capsys):
    save_file({"a": torch.ones(3)}, folder / "model.safetensors")
    assert main(["verify", str(folder)]) == 0
    assert "model.safetensors: whole (tensors without a checksum: 1)" in capsys.readouterr().out
    save_file({"a": torch.tensor([1.0, torch.nan])}, folder / "model.safetensors")
    assert damaged(folder) == ["model.safetensors"]


def test_a_missing_weight_file_is_no_whole_model(folder):
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").unlink()
    assert damaged(folder) == ["model.safetensors"]


def test_a_folder_without_anything_to_verify_is_an_error(tmp_path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointError, match="name a model folder"):
            list(verify_folder(place))


def test_verifying_changes_no_file(folder):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    list(verify_folder(folder))
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert list(file.keys()) == ["a", "b"]
