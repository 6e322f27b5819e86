"""What a kill, or a disk that fills up, at any write leaves of the files around a model."""

import pytest
import torch

from hllm.serving.blend import Blend, BlendWeights, catalog_of
from hllm.store import EMBEDDINGS, ItemEmbeddings
from tests.faults import DIED, ROOT, num_killed_of, outcomes_of
from tests.hllm.published.reference_states import write_checkpoint

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

# Thirty users who walk in circles over the model's items.
DATA = """
def write_data(folder):
    items = "".join(f'"i""{n}",book number {n * 37 % 101}\\n' for n in range(30))
    (folder / "items.csv").write_text("item_id,title\\n" + items)
    rows = "".join(f'"i""{(u + n) % 30}",u{u},{n}\\n' for u in range(30) for n in range(5 + u % 4))
    (folder / "interactions.csv").write_text("item_id,user_id,timestamp\\n" + rows)
prepare = write_data
def data(folder):
    return ["--interactions", str(folder / "interactions.csv"),
            "--items", str(folder / "items.csv")]
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

# What the sentence encoder makes of the titles is not written by this command.
BLEND = (
    DATA
    + """
import hllm.blend, numpy as np
from hllm.commands.blend import main
from hllm.serving.blend import Blend
NEW, OLD = 384, 8
hllm.blend.sentence_vectors = lambda data, keys, device: np.eye(len(data.fields), 384, dtype="f4")
def work(folder):
    return main(["--model", str(folder / "model"), *data(folder)])
def read(folder):
    return Blend.load(folder / "model/blend.safetensors").texts.shape[1]
"""
)

EVALUATE = (
    DATA
    + """
import json
from hllm.commands.evaluate import main
NEW, OLD = 3, 0
def prepare(folder):
    write_data(folder)
    (folder / "results.json").write_text('{"models": {}}')
def work(folder):
    return main(["--model", str(folder / "model"), "--baselines", "popularity",
                 "--output", str(folder / "results.json"), *data(folder)])
def read(folder):
    return len(json.loads((folder / "results.json").read_text())["models"])
"""
)

# Noted after every other user, so that a command that is given again goes on in the middle.
RECOMMEND = (
    DATA
    + """
from hllm import bulk
from hllm.commands.recommend import main
bulk.USERS_PER_BLOCK, bulk.SECONDS_PER_NOTE = 8, 0
NEW, OLD = 1 + 30 * 3, 1
def prepare(folder):
    write_data(folder)
    (folder / "top.csv").write_text("user_id,rank,item_id,score\\n")
def work(folder):
    return main(["--model", str(folder / "model"), "--histories", data(folder)[1],
                 "--output", str(folder / "top.csv"), "--top-k", "3", "--precision", "fp32"])
def read(folder):
    return len((folder / "top.csv").read_text().splitlines())
"""
)

RUNS = """
from hllm.runs import main
NEW, OLD = True, False
def prepare(folder):
    (folder / "model/train.json").write_text('{"seed": 1}')
    (folder / "model/log.jsonl").write_text(
        '{"kind": "valid", "step": 3, "ndcg@10": 0.5, "recall@10": 1.0, "seconds": 61.0}\\n')
    (folder / "runs.html").write_text("old")
def work(folder):
    return main([str(folder / "model"), "--format", "html", "--output", str(folder / "runs.html")])
def read(folder):
    text = (folder / "runs.html").read_text()
    return text != "old" and text.endswith("</html>\\n")
"""

PROJECT = """
import torch
from hllm.project import main
from hllm.serving.projection import fitted, load_projection, save_projection
from hllm.store import EMBEDDINGS, PROJECTION, ItemEmbeddings
NEW, OLD = "PCA", "UMAP"
def prepare(folder):
    stored = ItemEmbeddings.load(folder / "model" / EMBEDDINGS)
    places = torch.arange(2.0 * len(stored.item_ids)).reshape(-1, 2)
    save_projection(fitted(OLD, places), stored, folder / "model" / PROJECTION)
def work(folder):
    return main(["--model", str(folder / "model"), "--method", "pca"])
def read(folder):
    stored = ItemEmbeddings.load(folder / "model" / EMBEDDINGS)
    return load_projection(folder / "model" / PROJECTION, stored).method
"""

CONVERT = """
from hllm.commands.checkpoint import main
from hllm.model_folder import ModelFolder
NEW, OLD = True, False
def prepare(folder): pass
def command(made):
    source = MODEL.parent / "reference"
    return ["convert", str(source / "pytorch_model.bin"), str(made), "--text-keys", "title",
            "--item-base", str(source / "item"), "--shard-gb", "0.00005"]
def work(folder):
    made = folder / "made"
    return 0 if made.exists() else main(command(made))
def read(folder):
    made = folder / "made"
    return made.exists() and not main(["verify", str(made)]) and bool(ModelFolder(made).tokenizer())
"""

SPLIT = (
    CONVERT
    + """
def command(made):
    return ["split", str(MODEL), str(made), "--megabytes", "0.05"]
"""
)

TRAIN = """
import hllm.train
from hllm.train import main
from safetensors.torch import load_file
NEW, OLD = True, False
OPTIONS = ("--model_kind sasrec --user_size 8 --user_layers 1 --user_heads 2 --max_history 4 "
           "--batch_size 8 --num_negatives 4 --max_steps 4 --eval_every 2").split()
def prepare(folder):
    rows = "".join(f"i{(u + n) % 8},u{u},{n}\\n" for u in range(24) for n in range(6))
    (folder / "pairs.csv").write_text("item_id,user_id,timestamp\\n" + rows)
    (folder / "items.csv").write_text(
        "item_id,title\\n" + "".join(f"i{n},t\\n" for n in range(8)))
def work(folder):
    return main(["--items", str(folder / "items.csv"), "--output", str(folder / "run"),
                 "--interactions", str(folder / "pairs.csv"), *OPTIONS])
def read(folder):
    run = folder / "run"
    if (run / "config.json").exists():  # it opens, whatever came in between
        load_file(run / "model.safetensors")
    return (run / "state/step-00000004/complete.json").exists()
"""

PRECISION = """
from hllm.model_folder import ModelFolder
from hllm.serving import measured_precision
from hllm.serving.measured_precision import faster_precision
NEW, OLD = True, False
measured_precision._measure = lambda *_: {"fp32": 1.0, "int8": 2.0}
def prepare(folder): pass
def work(folder):
    config = ModelFolder(folder / "model").config.user_config
    assert faster_precision(config, ["fp32", "int8"], folder / "cache") == "fp32"
def read(folder):
    return bool(list((folder / "cache").glob("precision-*.json")))
"""

GRAPH = """
from hllm.model_folder import ModelFolder
from hllm.serving.onnx_incremental import prepare_onnx
NEW, OLD = 3, 0
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

# Commands by their names, and what serving writes. How a run of hllm.train continues after any of
# this is looked at closely in tests/hllm/training/test_run_state.py.
COMMANDS = {"embed": EMBED, "exchange export": EXPORT, "exchange import": IMPORT,
            "sentence": SENTENCE, "blend": BLEND, "evaluate": EVALUATE, "recommend": RECOMMEND,
            "runs": RUNS, "checkpoint convert": CONVERT, "checkpoint split": SPLIT,
            "train": TRAIN, "project": PROJECT}  # fmt: skip
SERVING = {"graph": GRAPH, "index": INDEX, "precision": PRECISION}
SETUPS = COMMANDS | SERVING
# Done without where it cannot be kept.
DISPENSABLE = ("index", "precision")


def test_every_command_is_among_them():
    modules = {path.stem for path in ROOT.glob("hllm/*.py") if "__main__" in path.read_text()}
    assert {name.split()[0] for name in COMMANDS} == modules


@pytest.fixture
def whole_folder(embedded_model, tokenizer):
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
    (embedded_model.parent / "reference").mkdir()
    write_checkpoint(embedded_model.parent / "reference", tokenizer)
    return embedded_model


def setup_of(name, folder):
    values = f"{str(folder)!r}), {name in DISPENSABLE}"
    places = f"from pathlib import Path\nMODEL, KEEPS = Path({values}\n"
    return places + SETUPS[name] + CHECKS


STRIDES = {"embed": 9, "blend": 1, "evaluate": 1, "graph": 60, "index": 20, "train": 40}
FAST = ("exchange export", "exchange import", "sentence", "runs", "index")


def run(name, folder, tmp_path, *, full, stride):
    top = tmp_path / "faults"
    top.mkdir()
    outcomes = outcomes_of(setup_of(name, folder), top, full=full, stride=stride)
    if not full:
        assert outcomes and set(outcomes) == {DIED}
    else:
        assert {3 if name in DISPENSABLE else 2} <= set(outcomes) <= {2, 3}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in SETUPS],
)
def test_a_full_disk_is_one_sentence_and_the_old_file_stands(name, whole_folder, tmp_path):
    run(name, whole_folder, tmp_path, full=True, stride=STRIDES.get(name, 9))


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
