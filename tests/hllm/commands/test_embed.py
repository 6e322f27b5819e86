"""The command that embeds a catalogue: where it writes, what it repeats, what it refuses."""

import torch

import hllm.embed
from hllm.checkpoint import save_model
from hllm.commands.embed import main
from hllm.store import EMBEDDINGS, ItemEmbeddings


def test_command_line_writes_beside_the_model(model_folder, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\na,Dune\nb,Emma\n")
    assert main(["--model", str(model_folder), "--items", str(items)]) == 0
    assert ItemEmbeddings.load(model_folder / "embeddings.safetensors").item_ids == ["a", "b"]


def test_command_line_error_is_one_sentence(tmp_path, caplog):
    assert main(["--model", str(tmp_path / "no"), "--items", "x.csv"]) == 2
    assert "No HLLM model at" in caplog.text


def test_a_second_command_does_not_load_the_model(model_folder, tmp_path, caplog, monkeypatch):
    caplog.set_level("INFO")
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\na,Dune\nb,Emma\n")
    assert main(["--model", str(model_folder), "--items", str(items)]) == 0
    monkeypatch.setattr(hllm.embed, "load_encoder", None)
    assert main(["--model", str(model_folder), "--items", str(items)]) == 0
    assert "is up to date: nothing to do" in caplog.text


def test_items_without_any_text_of_the_model_are_an_error(model_folder, tmp_path, caplog):
    items = tmp_path / "items.csv"
    items.write_text("item_id,name\na,Dune\nb,Emma\n")
    assert main(["--model", str(model_folder), "--items", str(items)]) == 2
    assert "no column 'title' with any text: the columns are name" in caplog.text
    assert not (model_folder / EMBEDDINGS).exists()


def test_a_model_whose_states_overflow_stops_and_names_an_item(
    tiny_model, tokenizer, tmp_path, caplog
):
    with torch.no_grad():
        tiny_model.item_llm.layers[-1].mlp.down_proj.weight.fill_(3e38)  # finite, as loaders ask
    save_model(tiny_model, tmp_path / "model", tokenizer)
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\na,Dune\nb,Emma\n")
    assert main(["--model", str(tmp_path / "model"), "--items", str(items)]) == 2
    assert "Item 'a' got an embedding with NaN or infinity" in caplog.text
    assert not (tmp_path / "model" / EMBEDDINGS).exists()
