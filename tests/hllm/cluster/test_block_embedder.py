"""A worker: the rows of its block, the embeddings of the plain engine, sentences for mistakes."""

from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from hllm.cluster.block_embedder import BlockEmbedder
from hllm.cluster.blocks import plan_blocks, read_sources, unfinished
from hllm.embed import embed_items
from hllm.exchange import import_parquet
from hllm.model_folder import ModelFolder
from hllm.places import Place


def embedder(model_folder, items, output, *, half=False, fingerprint=None):
    return BlockEmbedder(
        model=str(model_folder),
        fingerprint=fingerprint or ModelFolder(model_folder).fingerprint,
        items=str(items),
        output=str(output),
        half=half,
    )


def blocks_of(items, size):
    return plan_blocks(read_sources(Place.of(str(items)), ["title"]), size)


@pytest.mark.parametrize("size", [7, 20, 1000])  # across row groups, and whole files
@pytest.mark.parametrize("half", [False, True])
def test_blocks_hold_what_the_plain_engine_makes(model_folder, items, texts, tmp_path, size, half):
    output = tmp_path / "out"
    worker = embedder(model_folder, items, output, half=half)
    blocks = blocks_of(items, size)
    for block in blocks:
        assert worker(asdict(block)) == {"items": block.stop - block.start, "problem": ""}
    assert unfinished(Place.of(str(output)), blocks, ModelFolder(model_folder).fingerprint) == []
    parts = [import_parquet(output / block.name) for block in blocks]
    plain = embed_items(model_folder, texts, tmp_path / "plain", half=half, progress=False)
    assert [name for part in parts for name in part.item_ids] == plain.item_ids
    assert [value for part in parts for value in part.text_hashes] == plain.text_hashes
    vectors = torch.cat([part.vectors for part in parts])
    assert vectors.dtype == plain.vectors.dtype
    # Batches are others: sums differ in their last digit, and may be rounded to the next float16.
    tolerance = {"rtol": 1e-3, "atol": 1e-3} if half else {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(vectors, plain.vectors, **tolerance)


def test_two_workers_that_make_the_same_block_leave_one_file(model_folder, items, tmp_path):
    block = blocks_of(items, 20)[0]
    for _ in range(2):
        embedder(model_folder, items, tmp_path / "out")(asdict(block))
    assert [path.name for path in (tmp_path / "out").iterdir()] == [block.name]


def test_a_missing_or_other_model_is_a_sentence_of_every_block(model_folder, items, tmp_path):
    block = blocks_of(items, 20)[0]
    missing = embedder(tmp_path / "no", items, tmp_path / "out", fingerprint="f")
    assert "No HLLM model at" in missing(asdict(block))["problem"]
    other = embedder(model_folder, items, tmp_path / "out", fingerprint="f")
    assert "is another model here" in other(asdict(block))["problem"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("empty", [None, " "])
def test_a_row_without_an_id_is_a_sentence_with_its_number(model_folder, tmp_path, empty):
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": ["a", "b", empty], "title": ["x"] * 3}), path)
    (block,) = blocks_of(path, 20)
    answer = embedder(model_folder, path, tmp_path / "out")(asdict(block))
    assert "items.parquet, row 3: item_id is empty" in answer["problem"]


def test_ids_and_texts_may_be_numbers(model_folder, tmp_path, tiny_model):
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": [12, 7], "title": [1984, 2001]}), path)
    (block,) = blocks_of(path, 20)
    assert embedder(model_folder, path, tmp_path / "out")(asdict(block))["problem"] == ""
    made = import_parquet(tmp_path / "out" / block.name)
    texts = [("12", tiny_model.config.item_text({"title": "1984"})),
             ("7", tiny_model.config.item_text({"title": "2001"}))]  # fmt: skip
    plain = embed_items(model_folder, texts, tmp_path / "plain", progress=False)
    assert (made.item_ids, made.text_hashes) == (plain.item_ids, plain.text_hashes)
