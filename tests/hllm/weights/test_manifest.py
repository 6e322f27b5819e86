"""Files without tensors: what was written is whole, what changed is named, strangers are let be."""

import json
import os

import pytest

from hllm.checkpoint import copy_in_shards, load_model
from hllm.commands.checkpoint import main
from hllm.weights.manifest import MANIFEST, compare_manifest


def problems(folder):
    return [problem for _, problem in compare_manifest(folder) if problem]


def test_a_saved_and_a_split_folder_are_whole(model_folder, tmp_path):
    named = [path.name for path, problem in compare_manifest(model_folder) if not problem]
    assert "config.json" in named and "tokenizer.json" in named
    copy_in_shards(model_folder, tmp_path / "split", 20_000)
    named = [path.name for path, _ in compare_manifest(tmp_path / "split")]
    assert "model.safetensors.index.json" in named and problems(tmp_path / "split") == []


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_changed_file_is_named_with_what_to_do(model_folder, name, capsys, caplog):
    path = model_folder / name
    path.write_text(path.read_text() + " ")
    assert main(["verify", str(model_folder)]) == 2
    said, words = capsys.readouterr().err, f"{path} is not as it was written: restore it, or, if"
    assert words in said
    caplog.clear()
    load_model(model_folder)  # it opens all the same: editing it is allowed
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert warning.message.startswith(words) and warning.message.endswith("delete manifest.json.")
    path.unlink()
    assert problems(model_folder)[0].startswith(f"{path} cannot be read")


def test_a_file_that_would_take_long_is_not_read(model_folder):
    path = model_folder / "tokenizer.json"
    os.truncate(path, 50_000_001)
    (problem,) = problems(model_folder)
    assert problem.startswith(f"{path} has more than 50 MB")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"sha256": 1}', '{"sha256": {"a": 1}}', '{"sha256": {"../a": "b"}}']
)
def test_a_manifest_of_anybody_is_one_sentence(model_folder, text):
    (model_folder / MANIFEST).write_text(text)
    (problem,) = problems(model_folder)
    assert str(model_folder) in problem


def test_a_folder_without_one_is_verified_as_before(model_folder, capsys):
    (model_folder / MANIFEST).unlink()
    assert main(["verify", str(model_folder)]) == 0
    assert "config.json" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["model", "smollm2"])
def test_the_built_in_models_have_one(name):
    from tests.faults import ROOT

    folder = ROOT / "assets" / "books" / name
    assert json.loads((folder / MANIFEST).read_text())["sha256"] and problems(folder) == []
