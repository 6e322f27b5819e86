"""The whole job on a real Ray: what the plain engine makes, continued, and with a node killed."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import LlamaConfig

import hllm.cluster.embed_parquet
from hllm.checkpoint import save_model
from hllm.cluster.block_embedder import BlockEmbedder
from hllm.cluster.blocks import Job, claim, plan_blocks, read_sources
from hllm.cluster.embed_parquet import EmbedCounts, embed_parquet
from hllm.config import HLLMConfig
from hllm.embed import embed_items
from hllm.errors import DataError
from hllm.exchange import COMPLETE, import_parquet
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.places import Place
from tests.waiting import wait_until

PATIENCE_S = 600  # a guard: Ray and torch start in every process, on a busy machine in minutes


def assert_equal_to_plain(output, model_folder, texts, tmp_path):
    made = import_parquet(output)
    plain = embed_items(model_folder, texts, tmp_path / "plain", half=False, progress=False)
    assert made.item_ids == plain.item_ids  # in this order, each once
    assert (made.fingerprint, made.text_hashes) == (plain.fingerprint, plain.text_hashes)
    torch.testing.assert_close(made.vectors, plain.vectors, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_a_local_run_makes_what_is_missing_and_nothing_else(
    model_folder, items, texts, tmp_path, capfd, recwarn, caplog
):
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    output, fingerprint = tmp_path / "out", ModelFolder(model_folder).fingerprint
    sources = read_sources(Place.of(str(items)), ["title"])
    claim(Place.of(str(output)), Job(fingerprint, "float32", 20, sources))
    places = {"items": str(items), "output": str(output)}
    worker = BlockEmbedder(model=str(model_folder), fingerprint=fingerprint, half=False, **places)
    for block in plan_blocks(sources, 20)[1:]:
        assert worker(asdict(block))["problem"] == ""
    last = output / "part-000004.parquet"
    last.write_bytes(last.read_bytes()[:100])  # cut off, as by a full disk
    written = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    options = {"half": False, "items_per_block": 20, "workers": 1, "progress": False}
    made = embed_parquet(model_folder, str(items), str(output), **options)
    assert made == EmbedCounts(items=90, made_items=40, blocks=5, made_blocks=2)
    assert "Progress bars" not in capfd.readouterr().err
    assert not [warning for warning in recwarn if "ray_remote_args" in str(warning.message)]
    now = {path.name: path.stat().st_mtime_ns for path in output.glob("part-*")}
    assert {name for name in now if now[name] == written.get(name)} == {
        f"part-00000{n}.parquet" for n in (1, 2, 3)
    }
    assert (output / COMPLETE).is_file()
    assert_equal_to_plain(output, model_folder, texts, tmp_path)
    # Nothing is started for what is complete.
    assert embed_parquet(model_folder, str(items), str(output), **options).made_blocks == 0
    last.write_bytes(last.read_bytes()[:100])
    (output / "part-000002.parquet").unlink()
    with pytest.raises(DataError, match="makes what is missing or damaged"):
        import_parquet(output)
    assert embed_parquet(model_folder, str(items), str(output), **options).made_blocks == 2
    assert "2 of its 5 files are missing or damaged (part-000002.parquet)" in caplog.text
    assert_equal_to_plain(output, model_folder, texts, tmp_path)


class Dying(BlockEmbedder):
    """As a block that takes more memory than there is: it ends its worker, every time."""

    def __call__(self, row):
        os._exit(1)


@pytest.mark.long
def test_a_block_that_ends_every_worker_ends_the_run(model_folder, items, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    monkeypatch.setattr(hllm.cluster.embed_parquet, "BlockEmbedder", Dying)
    with pytest.raises(DataError, match="A worker died at the same block 4 times"):
        embed_parquet(model_folder, str(items), str(tmp_path / "out"), workers=1, progress=False)


@pytest.mark.long
def test_a_mistake_in_a_row_is_one_sentence(model_folder, items, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    pq.write_table(pa.table({"item_id": ["a", None], "title": ["x", "y"]}), items / "c.parquet")
    with pytest.raises(DataError, match=r"c.parquet, row 2: item_id is empty"):
        embed_parquet(model_folder, str(items), str(tmp_path / "out"), workers=1, progress=False)


@pytest.fixture
def busy_model(tokenizer, tmp_path):
    """A model that takes a second for a block, so that there is a middle to be killed in."""
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=259, hidden_size=256, intermediate_size=704, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4,
    )  # fmt: skip
    config = HLLMConfig(shape, shape, text_keys=["title"], max_text_tokens=96, max_history=6)
    save_model(HLLM(config).eval(), tmp_path / "busy", tokenizer)
    return tmp_path / "busy", config


@pytest.mark.long
def test_a_node_that_is_killed_loses_and_doubles_nothing(busy_model, tmp_path):
    """Four nodes, three with a worker; one dies while its worker is in the middle of a block."""
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    from ray.cluster_utils import Cluster

    model_folder, config = busy_model
    num_items, size = 2400, 40
    titles = [f"{'many words of text ' * 4}{n}" for n in range(num_items)]
    table = pa.table({"item_id": [f"i{n}" for n in range(num_items)], "title": titles})
    (tmp_path / "items").mkdir()
    for part in range(3):
        pq.write_table(table[part * 800 : (part + 1) * 800], tmp_path / "items" / f"{part}.parquet")
    output = tmp_path / "out"
    cluster = Cluster(True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]

    def worker_of(node):
        """The process of a node that holds the Item LLM; None until it runs."""
        (raylet,) = node.all_processes["raylet"]
        children = psutil.Process(raylet.process.pid).children()
        return next((p for p in children if "BlockEmbedder" in " ".join(p.cmdline())), None)

    def files():
        return len([*output.glob("part-*")])

    def run():
        return embed_parquet(
            model_folder, str(tmp_path / "items"), str(output), half=False,
            address=cluster.address, items_per_block=size, progress=False,
        )  # fmt: skip

    try:
        with ThreadPoolExecutor(1) as thread:
            job = thread.submit(run)
            wait_until(lambda: job.done() or files() >= 6, PATIENCE_S)
            assert not job.done()
            victim = worker_of(nodes[1])
            assert victim is not None
            done = files()
            cluster.remove_node(nodes[1], allow_graceful=False)
            wait_until(lambda: not victim.is_running() or victim.status() == "zombie", PATIENCE_S)
            assert not job.done()
            assert done < num_items // size - 3  # in the middle
            made = job.result(PATIENCE_S)
    finally:
        cluster.shutdown()
    assert made == EmbedCounts(num_items, num_items, num_items // size, num_items // size)
    texts = [(f"i{n}", config.item_text({"title": title})) for n, title in enumerate(titles)]
    assert_equal_to_plain(output, model_folder, texts, tmp_path)
