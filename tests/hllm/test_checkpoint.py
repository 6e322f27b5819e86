"""Model folders: round trips, deltas over packaged weights, fingerprints, errors."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from hllm.checkpoint import (
    build_model,
    copy_in_shards,
    load_model,
    load_user_llm,
    save_model,
    trained_state,
)
from hllm.commands.checkpoint import main
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import HLLM
from hllm.model_folder import ModelFolder
from hllm.weights.packaged import MINILM, pretrained_folder


@pytest.fixture(scope="module")
def lora_folder(tmp_path_factory):
    """A model over packaged MiniLM with LoRA, as the built-in one."""
    torch.manual_seed(0)
    user = AutoConfig.for_model(
        "llama", hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
        vocab_size=1, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    config = HLLMConfig(
        AutoConfig.from_pretrained(pretrained_folder(MINILM)),
        user,
        text_keys=["title"],
        item_adapter="linear",
        item_base=MINILM,
        item_lora={"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
    )
    model = build_model(config, item_weights=pretrained_folder(MINILM)).eval()
    with torch.no_grad():  # LoRA starts as the identity; move it away from there
        for name, value in model.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.02)
    folder = tmp_path_factory.mktemp("lora")
    save_model(model, folder)
    return folder, model


def test_round_trip_gives_equal_embeddings(tiny_model, tokenizer, token_ids, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    loaded, loaded_tokenizer = load_model(tmp_path)
    with torch.inference_mode():
        assert torch.equal(loaded.encode_items(token_ids), tiny_model.encode_items(token_ids))
    assert loaded_tokenizer("Dune")["input_ids"] == tokenizer("Dune")["input_ids"]


def test_a_copy_in_small_files_is_the_same_model(lora_folder, tmp_path):
    folder, model = lora_folder
    (folder / "embeddings.safetensors").write_bytes(b"stay as they are")
    assert main(["split", str(folder), str(tmp_path / "copy"), "--megabytes", "0.2"]) == 0
    files = sorted((tmp_path / "copy").glob("model*.safetensors"))
    assert len(files) > 3 and all(path.stat().st_size < 250_000 for path in files)
    assert (tmp_path / "copy" / "embeddings.safetensors").read_bytes() == b"stay as they are"
    (folder / "embeddings.safetensors").unlink()
    assert ModelFolder(tmp_path / "copy").fingerprint == ModelFolder(folder).fingerprint
    loaded, tokenizer = load_model(tmp_path / "copy")
    ids = tokenizer(["Dune"])["input_ids"]
    with torch.inference_mode():
        assert torch.equal(loaded.encode_items(ids), model.encode_items(ids))
    with pytest.raises(CheckpointError, match="copy exists: name a folder that does not"):
        copy_in_shards(folder, tmp_path / "copy", 1000)


def test_lora_model_is_a_small_delta_that_restores_exactly(lora_folder):
    folder, model = lora_folder
    names = set(load_file(folder / "model.safetensors"))
    assert not any("base_layer" in name or "word_embeddings" in name for name in names)
    assert (folder / "model.safetensors").stat().st_size < 3e6
    loaded, tokenizer = load_model(folder)
    ids = tokenizer(["Dune", "Emma"])["input_ids"]
    with torch.inference_mode():
        assert torch.equal(loaded.encode_items(ids), model.encode_items(ids))


def test_only_lora_matrices_of_the_item_llm_are_trainable(lora_folder):
    _, model = lora_folder
    trainable = [n for n, p in model.item_llm.named_parameters() if p.requires_grad]
    assert trainable and all("lora_" in name for name in trainable)


def test_fully_tuned_packaged_model_saves_its_weights(lora_folder):
    _, model = lora_folder
    config = HLLMConfig.from_dict(model.config.to_dict() | {"item_lora": None})
    assert any("word_embeddings" in name for name in trained_state(build_model(config)))


def test_item_llm_starts_from_the_official_weights_or_at_random(lora_folder):
    _, model = lora_folder
    config = HLLMConfig.from_dict(model.config.to_dict() | {"item_lora": None})
    name = "encoder.layer.0.attention.self.query.weight"
    folder = pretrained_folder(MINILM)
    official = load_file(folder / "model.safetensors")[name]
    started = build_model(config, item_weights=folder).item_llm.state_dict()[name]
    assert torch.equal(started, official)
    assert not torch.equal(build_model(config).item_llm.state_dict()[name], official)


def test_start_weights_of_another_shape_are_one_clear_error(tiny_model, tmp_path):
    tiny_model.user_llm.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="does not hold the weights of this language model"):
        build_model(tiny_model.config, user_weights=pretrained_folder(MINILM))
    model = build_model(tiny_model.config, user_weights=tmp_path)
    name = "layers.0.mlp.up_proj.weight"
    assert torch.equal(model.user_llm.state_dict()[name], tiny_model.user_llm.state_dict()[name])


def test_user_llm_alone_gives_the_same_states(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path)
    user_llm = load_user_llm(tmp_path)
    items = torch.randn(1, 3, tiny_model.config.embedding_size)
    with torch.inference_mode():
        expected = tiny_model.encode_users(items).last_hidden_state
        assert torch.equal(user_llm(inputs_embeds=items).last_hidden_state, expected)


def test_fingerprint_follows_item_weights_and_text_settings_only(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path)
    before = ModelFolder(tmp_path).fingerprint
    with torch.no_grad():
        tiny_model.logit_scale.add_(1)
        next(tiny_model.user_llm.parameters()).add_(1)
    save_model(tiny_model, tmp_path)
    assert ModelFolder(tmp_path).fingerprint == before
    with torch.no_grad():
        tiny_model.item_emb_tokens.add_(1)
    save_model(tiny_model, tmp_path)
    changed = ModelFolder(tmp_path).fingerprint
    assert changed != before
    tiny_model.config.item_prompt = "other: "
    save_model(tiny_model, tmp_path)
    assert ModelFolder(tmp_path).fingerprint != changed


def test_missing_folder_says_what_is_needed(tmp_path):
    with pytest.raises(CheckpointError, match=r"No HLLM model at .*config\.json"):
        ModelFolder(tmp_path / "nothing")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"model_type": "llama"}',
        '{"model_type": "hllm", "text_keys": ' + "[" * 9999,
    ],
)
def test_foreign_or_broken_config_is_one_clear_error(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json is not the configuration of an HLLM"):
        ModelFolder(tmp_path)


def test_damaged_weights_are_one_clear_error(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    for load in (load_model, load_user_llm, lambda folder: ModelFolder(folder).fingerprint):
        with pytest.raises(CheckpointError, match=r"model\.safetensors is missing or damaged"):
            load(tmp_path)


def test_weights_of_another_shape_or_with_gaps_are_refused(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    save_file({k: v for k, v in state.items() if k != "item_emb_tokens"}, path)
    with pytest.raises(CheckpointError, match="missing item_emb_tokens"):
        load_model(tmp_path)
    save_file(state | {"item_emb_tokens": torch.zeros(1, 1, 7)}, path)
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(tmp_path)


def test_a_model_folder_cannot_name_a_package_of_its_own(tiny_model, tmp_path):
    save_model(tiny_model, tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"item_base": "os"}))
    with pytest.raises(CheckpointError, match="No packaged pretrained model is called 'os'"):
        load_model(tmp_path)


def test_a_bfloat16_model_saved_again_says_that_it_is_float32(tiny_model, tokenizer, tmp_path):
    tiny_model.config.dtype = torch.bfloat16
    save_model(tiny_model.bfloat16(), tmp_path / "half", tokenizer)
    model, _ = load_model(tmp_path / "half")
    with torch.no_grad():
        model.logit_scale.add_(1e-4)  # too little for bfloat16
    save_model(model, tmp_path / "again", tokenizer)
    assert torch.equal(HLLM.from_pretrained(tmp_path / "again").logit_scale, model.logit_scale)
