"""Embeddings that travel as Parquet come back as they were, or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from hllm.commands.exchange import main
from hllm.errors import DataError
from hllm.exchange import export_parquet, import_parquet
from hllm.store import ItemEmbeddings


@pytest.fixture(params=[torch.float16, torch.float32])
def embeddings(request):
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).to(request.param)
    hashes = [f"{row:016x}" for row in range(5)]
    return ItemEmbeddings(["a", "ü", "c,d", "", "e"], hashes, vectors, "model-1")


def test_there_and_back(embeddings, tmp_path):
    source, parquet, back = (tmp_path / name for name in ("e.safetensors", "e.parquet", "b"))
    embeddings.save(source)
    assert main(["export", str(source), str(parquet)]) == 0
    assert main(["import", str(parquet), str(back)]) == 0
    found = ItemEmbeddings.load(back)
    assert torch.equal(found.vectors, embeddings.vectors)
    assert found.vectors.dtype == embeddings.vectors.dtype
    assert (found.item_ids, found.text_hashes) == (embeddings.item_ids, embeddings.text_hashes)
    assert found.fingerprint == "model-1"
    table = pq.read_table(parquet)
    assert table["item_id"].to_pylist() == embeddings.item_ids
    assert table["embedding"][2].as_py() == embeddings.vectors[2].tolist()


def changed(table, name, values):
    index = table.column_names.index(name)
    return table.set_column(index, table.schema.field(name), pa.array(values, table[name].type))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["text_hash"]), "no column text_hash"),
        (lambda t: t.replace_schema_metadata({}), "no fingerprint"),
        (lambda t: changed(t, "item_id", ["a", "b", None, "d", "e"]), "row 3: no item_id"),
        (lambda t: changed(t, "item_id", ["a", "b", "a", "d", "e"]), "an item_id twice"),
        (lambda t: changed(t, "text_hash", ["0" * 16] * 4 + ["zz"]), "row 5: text_hash 'zz'"),
        (
            lambda t: changed(t, "embedding", [[1.0] * 8] * 4 + [[float("nan")] * 8]),
            "row 5: the embedding of item 'e' has NaN",
        ),
        (lambda t: t.set_column(2, "embedding", pa.array([1.0] * 5)), "not lists of one length"),
    ],
)
def test_what_is_wrong_is_named(embeddings, tmp_path, change, message):
    path = tmp_path / "e.parquet"
    export_parquet(embeddings, path)
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(DataError, match=message):
        import_parquet(path)


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
    assert "is there and is no Parquet: give another output" in caplog.text
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
