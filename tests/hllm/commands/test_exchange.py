"""The command that exchanges embeddings: there and back, and which files it replaces."""

import pytest
import torch
from safetensors.torch import save_file

from hllm.commands.exchange import main
from hllm.exchange import export_parquet
from hllm.store import ItemEmbeddings


@pytest.fixture
def embeddings():
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).half()
    hashes = [f"{row:016x}" for row in range(5)]
    return ItemEmbeddings(["a", "ü", "c,d", "", "e"], hashes, vectors, "model-1")


def test_there_and_back(embeddings, tmp_path):
    source, parquet, back = (tmp_path / name for name in ("e.safetensors", "e.parquet", "b"))
    embeddings.save(source)
    assert main(["export", str(source), str(parquet)]) == 0
    assert main(["import", str(parquet), str(back)]) == 0
    found = ItemEmbeddings.load(back)
    assert (found.item_ids, found.fingerprint) == (embeddings.item_ids, "model-1")
    assert torch.equal(found.vectors, embeddings.vectors)


def test_no_parquet_at_all(tmp_path, caplog):
    path = tmp_path / "e.parquet"
    path.write_text("item_id,embedding\n")
    assert main(["import", str(path), str(tmp_path / "out")]) == 2
    assert "cannot be read as Parquet" in caplog.text
    assert not (tmp_path / "out").exists()


def test_export_replaces_parquet_and_nothing_else(embeddings, tmp_path, caplog):
    source, output = tmp_path / "e.safetensors", tmp_path / "e.parquet"
    embeddings.save(source)
    for _ in range(2):
        assert main(["export", str(source), str(output)]) == 0
    before = source.read_bytes()
    assert main(["export", str(source), str(source)]) == 2
    assert "exists and is not Parquet: give another output" in caplog.text
    assert source.read_bytes() == before


def test_export_of_rotten_numbers_stops(embeddings, tmp_path, caplog):
    source, output = tmp_path / "e.safetensors", tmp_path / "e.parquet"
    embeddings.save(source)
    content = bytearray(source.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start : start + 16] = b"\xff" * 16
    source.write_bytes(content)
    assert main(["export", str(source), str(output)]) == 2
    assert "is damaged" in caplog.text
    assert not output.exists()


def test_import_replaces_embeddings_of_another_model_and_no_other_file(
    embeddings, tmp_path, caplog
):
    parquet, output = tmp_path / "e.parquet", tmp_path / "e.safetensors"
    export_parquet(embeddings, parquet)
    ItemEmbeddings(["x"], ["0" * 16], torch.ones(1, 2), "another model").save(output)
    assert main(["import", str(parquet), str(output)]) == 0
    assert "was made by another model" in caplog.text
    assert ItemEmbeddings.load(output).item_ids == embeddings.item_ids
    weights = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(2)}, weights)
    before = weights.read_bytes()
    assert main(["import", str(parquet), str(weights)]) == 2
    assert "holds no item embeddings: give another output" in caplog.text
    assert weights.read_bytes() == before
