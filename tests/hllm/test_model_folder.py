"""A model folder is opened once: what it says, and that nobody parses it again."""

import json

import pytest
import torch

from hllm import model_folder
from hllm.checkpoint import load_model, load_user_llm, save_model
from hllm.embed import embed_items
from hllm.errors import CheckpointError
from hllm.model_folder import ModelFolder
from hllm.recommend import load_hllm


@pytest.fixture
def saved(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


def test_it_says_what_is_stored(saved, tiny_model):
    folder = ModelFolder(saved)
    state = tiny_model.state_dict()
    assert folder.shapes == {name: tuple(value.shape) for name, value in state.items()}
    users = {name: tuple(value.shape) for name, value in tiny_model.user_llm.state_dict().items()}
    assert folder.user_shapes == users
    assert all(value.equal(state[name]) for name, value in folder.tensors())
    assert [path.name for path in folder.files] == ["model.safetensors", "config.json"]
    assert not folder.holds_nf4
    assert ModelFolder.of(folder) is folder
    assert ModelFolder.of(str(saved)).path == saved
    assert folder.tokenizer()("Dune")["input_ids"]


def test_one_start_parses_config_json_once(saved, monkeypatch):
    embed_items(saved, [("i1", "Dune"), ("i2", "Emma")], saved / "embeddings.safetensors")
    parsed = []
    real = model_folder.read_object
    monkeypatch.setattr(
        model_folder, "read_object", lambda path, most: parsed.append(path.name) or real(path, most)
    )
    fields = [("i1", {"title": "Dune"}), ("i2", {"title": "Emma"})]
    with pytest.raises(Exception, match="older than the catalogue"):  # other texts: it did compare
        load_hllm(saved, fields=fields)
    assert parsed == ["config.json"]


def test_what_is_open_loads_without_parsing(saved, monkeypatch, tiny_model):
    folder = ModelFolder(saved)
    monkeypatch.setattr(model_folder, "read_object", None)
    items = torch.randn(1, 3, 32)
    expected = tiny_model.encode_users(items).last_hidden_state
    for user_llm in (load_user_llm(folder), load_model(folder)[0].user_llm):
        states = user_llm(inputs_embeds=items).last_hidden_state
        torch.testing.assert_close(states, expected, rtol=1e-6, atol=1e-6)


def test_a_folder_of_another_kind_is_refused(saved):
    values = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps(values | {"model_type": "llama"}))
    with pytest.raises(CheckpointError, match="model_type is 'llama', not 'hllm'"):
        ModelFolder(saved)
