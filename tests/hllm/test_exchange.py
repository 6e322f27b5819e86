"""Embeddings that travel as Parquet come back as they were, or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hllm.errors import DataError
from hllm.exchange import COMPLETE, JOB, export_parquet, import_parquet
from hllm.store import EMBEDDINGS, ItemEmbeddings


@pytest.fixture(params=[torch.float16, torch.float32])
def embeddings(request):
    vectors = torch.randn(5, 8, generator=torch.Generator().manual_seed(1)).to(request.param)
    hashes = [f"{row:016x}" for row in range(5)]
    return ItemEmbeddings(["a", "ü", "c,d", "", "e"], hashes, vectors, "model-1")


def test_there_and_back(embeddings, tmp_path):
    parquet = tmp_path / "e.parquet"
    export_parquet(embeddings, parquet)
    found = import_parquet(parquet)
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


def test_a_folder_of_a_job_is_read_when_it_is_complete(embedded_model, tmp_path):
    whole = ItemEmbeddings.load(embedded_model / EMBEDDINGS)
    folder = tmp_path / "job"
    folder.mkdir()
    for number, rows in enumerate((slice(0, 12), slice(12, 30))):
        part = ItemEmbeddings(
            whole.item_ids[rows], whole.text_hashes[rows], whole.vectors[rows], whole.fingerprint
        )
        export_parquet(part, folder / f"part-{number:06d}.parquet")
    (folder / JOB).write_text("{}")
    with pytest.raises(DataError, match="is not complete: give the command that began it"):
        import_parquet(folder)
    (folder / COMPLETE).write_text('{"items": 30}')
    read = import_parquet(f"file://{folder}")
    assert (read.item_ids, read.text_hashes) == (whole.item_ids, whole.text_hashes)
    assert torch.equal(read.vectors, whole.vectors)
    (folder / "part-000001.parquet").unlink()
    with pytest.raises(DataError, match="has 12 items, and 30 were made: files of it are lost"):
        import_parquet(folder)
