"""Every command with a good file in the wrong place: one sentence that says how to go on."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from app.catalog import Catalog
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from tests.hllm.shapes import TINY_LLM

MODEL = Path(__file__).parents[3] / "assets" / "books" / "model"
# What the command is for, with everything in its place.
USES = {
    "evaluate": ["--model", "model", "--items", "items.csv", "--interactions", "histories.csv",
                 "--output", "new"],
    "embed": ["--model", "model", "--items", "items.csv", "--output", "new.safetensors"],
    "recommend": ["--model", "model", "--histories", "histories.csv", "--output", "new",
                  "--embeddings", "model/embeddings.safetensors"],
    "sentence": ["--model", "model", "--items", "items.csv", "--output", "new.safetensors"],
    "checkpoint": ["convert", "HLLM-0.pth", "new", "--item-base", "base", "--text-keys", "title"],
    "exchange": ["export", "model/embeddings.safetensors", "new"],
}  # fmt: skip
NO_MODEL = {
    "catalogue.db": "it is a file; give a folder that holds config.json",
    "items.csv": "it is a file; give a folder that holds config.json",
    "folder": "give a folder that holds config.json",
    "HLLM-0.pth": "turned into a folder by  python -m hllm.checkpoint convert",
    "reference": "turned into a folder by  python -m hllm.checkpoint convert",
}
NO_CSV = {
    "id model": "it is a folder; give a file",
    "folder": "it is a folder; give a file",
    "catalogue.db": "is an SQLite database, not a text file: export its tables",
    "HLLM-0.pth": "holds weights of torch, not text: give a csv",
    "model/model.safetensors": "is a safetensors file, not text: give a csv",
}
NO_EMBEDDINGS = {
    "folder": "which is a folder: name the file in it",
    "catalogue.db": "holds something else, no item embeddings",
    "items.csv": "holds something else, no item embeddings",
    "HLLM-0.pth": "holds something else, no item embeddings",
    "model/model.safetensors": "holds something else, no item embeddings",
}
IN_USE = dict.fromkeys(["catalogue.db", "items.csv", "HLLM-0.pth", "folder"], "")
ID_MODEL = {"id model": "holds an ID model (sasrec)"}
PLACES = [
    ("evaluate", "model", NO_MODEL | {"id model": "was trained on another data set"}),
    *((name, "model", NO_MODEL | ID_MODEL) for name in ("embed", "recommend", "sentence")),
    *((name, "items.csv", NO_CSV) for name in ("evaluate", "embed", "sentence")),
    *((name, "histories.csv", NO_CSV) for name in ("evaluate", "recommend")),
    *((name, "model/embeddings.safetensors", NO_EMBEDDINGS) for name in ("recommend", "exchange")),
    *((name, "new", IN_USE) for name in ("evaluate", "recommend", "checkpoint", "exchange")),
    *((name, "new.safetensors", IN_USE) for name in ("embed", "sentence")),
    ("checkpoint", "HLLM-0.pth", {
        "model": "is a folder, not a file with weights: it looks like a model folder",
        "folder": "is a folder, not a file with weights: give the reference's pytorch_model.bin",
        "catalogue.db": "is no file of weights", "items.csv": "is no file of weights",
    }),
    ("checkpoint", "base", {
        "id model": "is not a supported architecture",
        "folder": "give the folder that holds the language model's config.json",
        "items.csv": "give the folder that holds the language model's config.json",
    }),
]  # fmt: skip
CASES = [
    pytest.param(name, place, wrong, advice, id=f"{name}-{place}-{wrong}")
    for name, place, table in PLACES
    for wrong, advice in table.items()
]


@pytest.fixture(scope="module")
def files(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("files")
    (folder / "model").symlink_to(MODEL)
    LlamaConfig(**TINY_LLM, vocab_size=259).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")
    rows = [f"dune-herbert,u{n},{n}" for n in range(3)] + [f"emma-austen,u{n},9" for n in range(3)]
    (folder / "histories.csv").write_text("\n".join(["item_id,user_id,timestamp", *rows]))
    (folder / "items.csv").write_text("item_id,title\ndune-herbert,Dune\nemma-austen,Emma\n")
    model = make_id_model(IDModelConfig(kind="sasrec", num_items=3, hidden_size=8, num_heads=2))
    save_id_model(model, folder / "id model", ["[PAD]", "a", "b"])
    Catalog.create(folder / "catalogue.db", name="x").close()
    (folder / "folder").mkdir()
    weights = {"module.item_llm.model.norm.weight": torch.ones(2)}
    torch.save({"model": weights, "optimizer": {}}, folder / "HLLM-0.pth")
    (folder / "reference").mkdir()
    shutil.copy(folder / "HLLM-0.pth", folder / "reference")
    return folder


@pytest.mark.parametrize(("name", "place", "wrong", "advice"), CASES)
def test_a_file_in_the_wrong_place(files, caplog, name, place, wrong, advice):
    paths = {*NO_MODEL, *NO_CSV, *NO_EMBEDDINGS, "model", "histories.csv", "base", "new",
             "new.safetensors", "model/embeddings.safetensors", "items.csv"}  # fmt: skip
    argv = [wrong if part == place else part for part in USES[name]]
    argv = [str(files / part) if part in paths or part == wrong else part for part in argv]
    before = {path: path.stat().st_mtime_ns for path in files.rglob("*")}
    assert importlib.import_module(f"hllm.commands.{name}").main(argv) == 2
    sentence = caplog.records[-1].getMessage()
    assert sentence.startswith("error: ") and "\n" not in sentence
    assert advice in sentence and str(files / wrong) in sentence
    assert "delete" not in sentence
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*")} == before
