"""Conversion of the reference's checkpoints: every layout, shards, refusals, the command."""

import json
import os
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from hllm.checkpoint import load_model, load_user_llm, save_model
from hllm.errors import CheckpointError, StorageError
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.published.convert import convert
from hllm.published.sources import SourceSettings
from hllm.weights import files
from hllm.weights.packaged import MINILM
from tests.hllm.published.reference_states import (
    BAICHUAN,
    BERT,
    LLAMA,
    write_checkpoint,
)


@pytest.fixture
def make(tmp_path, tokenizer):
    """make(item config, user config, **changes to the state) -> arguments of convert()."""

    def build(item=LLAMA, user=LLAMA, **changes):
        options = write_checkpoint(tmp_path, tokenizer, item, user, **changes)
        return options | {"output": tmp_path / "model"}

    return build


USERS = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))


def outputs(model, token_ids):
    with torch.inference_mode():
        return model.encode_items(token_ids), model.encode_users(USERS).last_hidden_state


@pytest.mark.parametrize(
    ("item", "user"), [(LLAMA, LLAMA), (BERT, LLAMA), (BAICHUAN, BAICHUAN)],
    ids=["llama", "bert", "baichuan"],
)  # fmt: skip
def test_layouts(make, item, user, token_ids):
    options = make(item, user)
    convert(**options)
    model, tokenizer = load_model(options["output"])
    state = torch.load(options["weights"], weights_only=True)
    own = model.state_dict()
    for side, name in ((item, "item_llm"), (user, "user_llm")):
        layer = f"{name}.layers.1.self_attn"
        if side["model_type"] == "baichuan":
            fused = state[f"{name}.model.layers.1.self_attn.W_pack.weight"]
            parts = [own[f"{layer}.{x}_proj.weight"] for x in "qkv"]
            assert torch.equal(torch.cat(parts), fused)
        elif side["model_type"] == "llama":
            stored = state[f"{name}.model.layers.1.self_attn.k_proj.weight"]
            assert torch.equal(own[f"{layer}.k_proj.weight"], stored)
        else:
            key = "item_llm.encoder.layer.1.output.dense.weight"
            assert torch.equal(own[key], state[key])
    assert torch.equal(model.item_emb_tokens, state["item_emb_tokens"])
    expected = outputs(model, token_ids)
    for loaded in (HLLM.from_pretrained(options["output"]),
                   AutoModel.from_pretrained(options["output"])):  # fmt: skip
        assert isinstance(loaded, HLLM)
        assert loaded.dtype == torch.float32
        for ours, theirs in zip(outputs(loaded.eval(), token_ids), expected, strict=True):
            assert torch.equal(ours, theirs)
    assert tokenizer("Dune")["input_ids"] == [1, *(tokenizer.convert_tokens_to_ids(list("Dune")))]
    config = ModelFolder(options["output"]).config
    assert (config.right_align_positions, config.max_history) == (True, 4)


def test_shards_hold_the_same_model(make, token_ids):
    options = make()
    convert(**options)
    sharded = options | {"output": options["output"].with_name("sharded")}
    convert(**sharded, shard_bytes=20_000)
    one, many = options["output"], sharded["output"]
    names = sorted(path.name for path in many.glob("*.safetensors"))
    assert len(names) > 5 and names[0] == f"model-00001-of-{len(names):05d}.safetensors"
    stored = {}
    for name in names:  # readable by the library itself
        part = load_file(many / name)
        assert len(part) == 1 or sum(t.nbytes for t in part.values()) <= 20_000
        stored |= part
    index = json.loads((many / files.INDEX).read_text())
    assert set(index["weight_map"]) == set(stored) == set(load_file(one / files.WEIGHTS))
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in stored.values())
    assert ModelFolder(many).fingerprint == ModelFolder(one).fingerprint
    expected = outputs(load_model(one)[0], token_ids)
    for model in (load_model(many)[0], HLLM.from_pretrained(many)):
        for ours, theirs in zip(outputs(model.eval(), token_ids), expected, strict=True):
            assert torch.equal(ours, theirs)
    with torch.inference_mode():
        states = load_user_llm(many)(inputs_embeds=USERS).last_hidden_state
    assert torch.equal(states, expected[1])


def test_dtype(make, token_ids):
    options = make()
    convert(**options, dtype=torch.bfloat16)
    stored = load_file(options["output"] / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert HLLM.from_pretrained(options["output"]).dtype == torch.bfloat16
    model, _ = load_model(options["output"])
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    key = "user_llm.model.norm.weight"
    rounded = torch.load(options["weights"], weights_only=True)[key].bfloat16()
    assert torch.equal(model.user_llm.norm.weight, rounded.float())
    assert model.user_llm.rotary_emb.inv_freq.dtype == torch.float32
    assert load_user_llm(options["output"]).dtype == torch.float32


def test_dtypes_of_the_file_may_differ_within_it(make):
    odd = torch.randn(32).bfloat16()  # 2 bytes before 4: must stay aligned
    options = make(**{"item_llm.model.norm.weight": odd})
    convert(**options)
    stored = load_file(options["output"] / "model.safetensors")
    assert torch.equal(stored["item_llm.norm.weight"], odd)
    assert ModelFolder(options["output"]).config.dtype == torch.float32


def test_mean_pooling_needs_no_item_token(make, token_ids):
    options = make(item_emb_tokens=None)
    with pytest.raises(CheckpointError, match="missing item_emb_tokens"):
        convert(**options)
    settings = SourceSettings(text_keys=("title",), max_text_tokens=64, item_pooling="mean")
    convert(**options | {"settings": settings})
    model, _ = load_model(options["output"])
    assert torch.isfinite(outputs(model, token_ids)[0]).all()


def test_saving_a_converted_model_again_keeps_it(make, token_ids, tmp_path):
    options = make()
    convert(**options, shard_bytes=20_000)
    model, tokenizer = load_model(options["output"])
    save_model(model, tmp_path / "again", tokenizer)
    assert ModelFolder(tmp_path / "again").fingerprint == ModelFolder(options["output"]).fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"logit_scale": None}, r"missing logit_scale; unknown none"),
        ({"user_llm.model.norm.weight": None}, r"missing user_llm\.norm\.weight"),
        ({"item_llm.model.norm.extra": torch.ones(2)}, r"unknown item_llm\.norm\.extra"),
        ({"optimizer": torch.ones(2)}, r"unknown optimizer\."),
        ({"user_llm.model.norm.weight": torch.ones(31)}, r"norm\.weight is .*\(31,\).*\(32,\)"),
        ({"logit_scale": torch.tensor(2)}, r"logit_scale is torch\.int64"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(make, changes, message):
    options = make(**changes)
    with pytest.raises(CheckpointError, match=message):
        convert(**options)
    assert not options["output"].exists()
    assert not list(options["output"].parent.glob("*.partial"))


class Bomb:
    """Unpickles by calling a function."""

    def __reduce__(self):
        return os.mkdir, ("bomb_went_off",)


def test_code_in_a_checkpoint_does_not_run(make, tmp_path, monkeypatch):
    options = make()
    monkeypatch.chdir(tmp_path)
    torch.save({"logit_scale": Bomb()}, options["weights"])
    with pytest.raises(CheckpointError, match="could run code: it was not opened"):
        convert(**options)
    options["weights"].write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CheckpointError, match=r"not a zip file of torch|could run code"):
        convert(**options)
    assert not (tmp_path / "bomb_went_off").exists()


@pytest.mark.parametrize("damage", ["missing", "empty", "half", "text", "list"])
def test_damaged_checkpoints(make, damage):
    options = make()
    path = options["weights"]
    content = path.read_bytes()
    path.unlink()
    if damage == "list":
        torch.save([torch.ones(1)], path)
    elif damage != "missing":
        path.write_bytes({"empty": b"", "half": content[: len(content) // 2],
                          "text": b"version https://git-lfs"}[damage])  # fmt: skip
    with pytest.raises(CheckpointError, match=r"damaged|no such file|flat table|could run code"):
        convert(**options)


def test_base_folders_must_fit(make, tmp_path):
    options = make(user=LLAMA | {"hidden_size": 16})
    with pytest.raises(CheckpointError, match="do not fit together"):
        convert(**options)
    options = make(item=LLAMA | {"vocab_size": 100})
    with pytest.raises(CheckpointError, match="has 259 words"):
        convert(**options)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "item" / name).unlink()
    with pytest.raises(CheckpointError, match="holds no tokenizer that can be read"):
        convert(**options)
    (tmp_path / "item" / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        convert(**options)


def test_an_existing_folder_is_left_alone(make):
    options = make()
    options["output"].mkdir()
    with pytest.raises(CheckpointError, match="exists: name a folder that does not"):
        convert(**options)


def test_a_full_disk_leaves_nothing_that_looks_like_a_model(make, monkeypatch):
    options = make()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_write_tensor", full_disk)
    with pytest.raises(StorageError, match=r"model cannot be written, the disk is full"):
        convert(**options)
    assert not options["output"].exists()
    assert not list(options["output"].parent.glob("*.partial"))


def test_damaged_shards(make):
    options = make()
    convert(**options, shard_bytes=20_000)
    folder = options["output"]
    index = json.loads((folder / files.INDEX).read_text())
    lost = folder / index["weight_map"]["user_llm.norm.weight"]
    content = lost.read_bytes()
    lost.unlink()
    for load in (load_model, load_user_llm, lambda folder: ModelFolder(folder).fingerprint):
        with pytest.raises(CheckpointError, match=rf"{lost.name} is missing or damaged"):
            load(folder)
    lost.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match=rf"{lost.name} is missing or damaged"):
        load_model(folder)
    for text in ("{", "[]", "{}", '{"weight_map": {"a": "../../secret"}}'):
        (folder / files.INDEX).write_text(text)
        with pytest.raises(CheckpointError, match=r"index\.json is damaged"):
            load_model(folder)


def test_a_delta_folder_names_the_function_that_loads_it(make, tmp_path):
    options = make()
    convert(**options)
    path = options["output"] / "config.json"
    values = json.loads(path.read_text())
    for change in ({"item_base": MINILM}, {"item_lora": {"r": 2}}):
        path.write_text(json.dumps(values | change))
        for loader in (HLLM, AutoModel):
            with pytest.raises(CheckpointError, match=r"load it with hllm\.checkpoint\.load_model"):
                loader.from_pretrained(options["output"])


def test_weights_without_a_shard_are_read_as_before(make):
    """Where both are there, the single file counts, as in transformers."""
    options = make()
    convert(**options, shard_bytes=20_000)
    folder = options["output"]
    whole = {name: t.clone() for name, t in files.iter_tensors(folder)}
    whole["logit_scale"] = torch.tensor(1.25)
    save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(folder)[0].logit_scale.item() == 1.25
    assert HLLM.from_pretrained(folder).logit_scale.item() == 1.25
