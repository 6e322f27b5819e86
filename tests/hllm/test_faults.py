"""What a kill, or a disk that fills up, at any write leaves of the files around a model."""

import pytest
import torch

from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.store import EMBEDDINGS, ItemEmbeddings
from tests.faults import DIED, num_killed_of, outcomes_of

# The old file stands or the new one does; the same command then succeeds; nothing else is left.
CHECKS = """
import os, shutil, torch
from pathlib import Path
torch.set_num_threads(1)
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HLLM_CACHE"] = ""
def before(folder):
    shutil.copytree(MODEL, folder / "model")
    prepare(folder)
def after(folder, code):
    found = read(folder)
    assert found in (OLD, NEW), found
    # Only the names in a folder were not on the disk yet; or it says what it does without.
    assert code != 3 or found == NEW or KEEPS, "exit code 0 without what was to be written"
    assert not work(folder) and read(folder) == NEW
    left = [path.name for path in folder.rglob("*") if path.name.endswith(".partial")]
    assert not left, left
"""

EMBED = """
from hllm.commands.embed import main
from hllm.store import ItemEmbeddings
NEW, OLD = 13, 30
def prepare(folder):
    rows = "".join(f"n{n},Book {n}\\n" for n in range(NEW))
    (folder / "items.csv").write_text("item_id,title\\n" + rows)
def work(folder):
    return main(["--model", str(folder / "model"), "--items", str(folder / "items.csv"),
                 "--output", str(folder / "model/embeddings.safetensors")])
def read(folder):
    return len(ItemEmbeddings.load(folder / "model/embeddings.safetensors").item_ids)
"""

EXPORT = """
import pyarrow.parquet
from hllm.commands.exchange import main
NEW, OLD = 30, 3
def prepare(folder):
    table = pyarrow.parquet.read_table(MODEL / "embeddings.parquet")
    pyarrow.parquet.write_table(table.slice(0, OLD), folder / "e.parquet")
def work(folder):
    return main(["export", str(folder / "model/embeddings.safetensors"),
                 str(folder / "e.parquet")])
def read(folder):
    return pyarrow.parquet.read_table(folder / "e.parquet").num_rows
"""

IMPORT = """
import pyarrow.parquet
from hllm.commands.exchange import main
from hllm.store import ItemEmbeddings
NEW, OLD = 3, 30
def prepare(folder):
    table = pyarrow.parquet.read_table(MODEL / "embeddings.parquet")
    pyarrow.parquet.write_table(table.slice(0, NEW), folder / "e.parquet")
def work(folder):
    return main(["import", str(folder / "e.parquet"),
                 str(folder / "model/embeddings.safetensors")])
def read(folder):
    return len(ItemEmbeddings.load(folder / "model/embeddings.safetensors").item_ids)
"""

SENTENCE = """
from hllm import sentence
from hllm.commands.sentence import main
from hllm.store import ItemEmbeddings
NEW, OLD = 5, 2
sentence.open_encoder = lambda *_: lambda texts: iter(
    [(list(range(len(texts))), torch.ones(len(texts), 384))])
def write(folder, count):
    rows = "".join(f"n{n},Book {n}\\n" for n in range(count))
    (folder / "items.csv").write_text("item_id,title\\n" + rows)
def prepare(folder):
    write(folder, OLD)
    work(folder)
    write(folder, NEW)
def work(folder):
    return main(["--model", str(folder / "model"), "--items", str(folder / "items.csv")])
def read(folder):
    return len(ItemEmbeddings.load(folder / "model/baseline.safetensors").item_ids)
"""

BLEND = """
from dataclasses import replace
from hllm.blend import save_blend
from hllm.serving.blend import Blend
NEW, OLD = 2.0, 1.0
def prepare(folder): pass
def work(folder):
    blend = Blend.load(MODEL / "blend.safetensors")
    save_blend(folder / "model", replace(blend, weights=replace(blend.weights, text=NEW)))
def read(folder):
    return Blend.load(folder / "model/blend.safetensors").weights.text
"""

GRAPH = """
from hllm.model_folder import ModelFolder
from hllm.serving.onnx_incremental import prepare_onnx
NEW, OLD = 2, 0
def prepare(folder): pass
def work(folder):
    for tower in ("user_llm.", "item_llm."):
        prepare_onnx(ModelFolder(folder / "model"), folder / "cache", bits=8, tower=tower)
def read(folder):
    found = list((folder / "cache").glob("[!.]*/model.onnx"))
    return NEW if len(found) == 2 else OLD
"""

# An index that cannot be kept is made anew at every start: a warning, and the search works.
INDEX = """
from hllm.serving import approximate_index
from hllm.serving.approximate_index import is_whole_index
from hllm.store import ItemEmbeddings
NEW, OLD = True, False
def prepare(folder): pass
def work(folder):
    path = folder / "model/embeddings.safetensors"
    stored = ItemEmbeddings.load(path)
    found = approximate_index._load_or_build(stored.item_ids, stored.vectors, path)
    assert found.ntotal == 30
def read(folder):
    found = list((folder / "model").glob("*.faiss"))
    assert all(map(is_whole_index, found))
    return bool(found)
"""

SETUPS = {"embed": EMBED, "export": EXPORT, "import": IMPORT, "sentence": SENTENCE,
          "blend": BLEND, "graph": GRAPH, "index": INDEX}  # fmt: skip


@pytest.fixture
def whole_folder(embedded_model):
    """A model folder with everything that is made of it."""
    from hllm.exchange import export_parquet

    stored = ItemEmbeddings.load(embedded_model / EMBEDDINGS)
    export_parquet(stored, embedded_model / "embeddings.parquet")
    count = len(stored.item_ids)
    blend = Blend(
        BlendWeights(1.0, 0.0, 0.5, 0.7),
        torch.nn.functional.normalize(torch.ones(count, 8), dim=-1).half(),
        torch.arange(count + 1),
        torch.arange(count, dtype=torch.int32),
        torch.ones(count),
        torch.ones(count, dtype=torch.int32),
        catalog_of(stored),
    )
    blend.save(embedded_model / "blend.safetensors")
    return embedded_model


def setup_of(name, folder):
    places = f"from pathlib import Path\nMODEL, KEEPS = Path({str(folder)!r}), {name == 'index'}\n"
    return places + SETUPS[name] + CHECKS


TAKES_LONG = ("embed", "blend", "graph")


def run(name, folder, tmp_path, *, full, stride):
    top = tmp_path / "faults"
    top.mkdir()
    outcomes = outcomes_of(setup_of(name, folder), top, full=full, stride=stride)
    if not full:
        assert outcomes and set(outcomes) == {DIED}
    else:
        assert {3 if name == "index" else 2} <= set(outcomes) <= {2, 3}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in TAKES_LONG else ()) for n in SETUPS],
)
def test_a_full_disk_is_one_sentence_and_the_old_file_stands(name, whole_folder, tmp_path):
    run(name, whole_folder, tmp_path, full=True, stride={"graph": 60, "index": 20}.get(name, 9))


@pytest.mark.long
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", SETUPS)
def test_every_write_of_every_command(name, whole_folder, tmp_path, full):
    run(name, whole_folder, tmp_path, full=full, stride=1)


@pytest.mark.long
@pytest.mark.parametrize("name", SETUPS)
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new(name, whole_folder, tmp_path):
    (tmp_path / "kills").mkdir()
    setup = setup_of(name, whole_folder)
    assert num_killed_of(setup, tmp_path / "kills", count=15, seed=name) > 0
