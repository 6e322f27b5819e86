"""docs/faq.md: what it says of mistakes happens, and what it says of others' models works."""

import csv
import json
import shutil

import pytest
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaModel, Qwen3Config, Qwen3ForCausalLM

from tests.guides.pages import inline
from tests.hllm.byte_tokenizer import byte_tokenizer

PAGE = "faq.md"
DATA = "--items data/games/items.csv --interactions data/games/interactions.csv"
TRAIN = "python -m hllm.train --max_steps 2 --batch_size 8 --num_negatives 8 --output runs/faq"
SHAPE = {
    "vocab_size": 259, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
pytestmark = pytest.mark.long


def write_llm(folder, model):
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def test_what_makes_recall_near_zero_elsewhere_is_refused_here(games):
    folder = games.folder / "renamed"
    write_llm(folder, LlamaModel(LlamaConfig(**SHAPE)))
    renamed = {f"transformer.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    said = games.types(f"{TRAIN} {DATA} --item_llm renamed --item_adapter linear", code=2)
    assert "renamed does not hold the weights" in said and "embed_tokens.weight" in said
    said = games.types(f"{TRAIN} {DATA} --text_keys titel", code=2)
    assert "the columns are title, description" in said
    games.types("sed 's/^g\\([0-9]*\\),/g\\1.0,/' data/games/interactions.csv > floats.csv")
    said = games.types(f"{TRAIN} --items data/games/items.csv --interactions floats.csv", code=2)
    assert "'g0', 'g1', 'g2' in the other; write the ids alike in both" in said
    verify = inline(PAGE, "python -m hllm.checkpoint verify FOLDER")
    assert "whole" in games.types(verify, {"FOLDER": "runs/games"})
    assert "games" in games.types(inline(PAGE, "python -m hllm.runs runs"))


def test_items_that_are_all_alike_are_said_to_teach_nothing(games):
    write_llm(games.folder / "qwen3", Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8)))
    with (games.folder / "alike.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["item_id", "title"])
        rows.writerows([f"g{n}", "Another game"] for n in range(60))
    alike = DATA.replace("data/games/items.csv", "alike.csv")
    pair = "--item_llm qwen3 --user_llm qwen3 --item_pooling item_token --item_adapter none"
    said = games.types(f"{TRAIN} {alike} {pair} --item_training full --user_training full")
    assert "only 0 of 8 negatives differ" in said and "look at --text_keys" in said


def test_other_language_models(games):
    write_llm(games.folder / "qwen3", Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8)))
    data = f"{DATA} --max_text_tokens 64"
    full = "--item_pooling item_token --item_training full --user_training full"
    games.types(f"{TRAIN} {data} --item_llm qwen3 --user_llm qwen3 --item_adapter none {full}")
    said = games.types(f"python -m hllm.evaluate --model runs/faq {DATA}")
    assert "recall@10" in said
    said = games.types(f"{TRAIN}-2 {data} --item_llm qwen3 --item_adapter none", code=2)
    assert "set item_adapter to 'linear' or 'mlp'" in said
    games.types(f"{TRAIN}-2 {data} --item_llm qwen3 --item_adapter mlp")
    shutil.copytree(games.folder / "qwen3", games.folder / "code")
    config = json.loads((games.folder / "code/config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling.Model"}
    (games.folder / "code/config.json").write_text(json.dumps(config))
    said = games.types(f"{TRAIN}-3 {data} --item_llm code --item_adapter mlp", code=2)
    assert '"auto_map" is not a key that a model folder may hold' in said


def test_new_items_and_new_users(games):
    with (games.folder / "data/games/items.csv").open("a") as file:
        file.write("new,puzzle game for two,\n")
    new = inline(PAGE, "python -m hllm.embed --model runs/games --items data/games/items.csv")
    said = games.types(new)
    assert "1 of 61 items have to be encoded" in said
    assert "make it again with  python -m hllm.blend" in said
    games.types(f"python -m hllm.blend --model runs/games {DATA}")
    ask = "from hllm import Recommender; r = Recommender.from_pretrained('runs/games');"
    ask += "print([i.item_id for i in r.recommend(['new', {'title': 'a castle game'}]).items])"
    assert games.types(f'python -c "{ask}"').count("'g") == 10
