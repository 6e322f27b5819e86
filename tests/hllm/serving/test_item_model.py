"""The Item LLM, live: one item that nobody has embedded yet."""

import numpy as np
import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from transformers import LlamaConfig

from hllm.checkpoint import load_item_llm, load_model, save_model
from hllm.config import HLLMConfig
from hllm.errors import CheckpointError
from hllm.model import HLLM, make_item_llm
from hllm.model_folder import ITEM_LLM, ModelFolder
from hllm.serving import item_model, precision
from hllm.serving.item_model import MAX_TOKENS_SHOWN, ItemModel, load_item_half
from hllm.serving.nf4_model import load_nf4_item_llm
from hllm.serving.onnx_graph import WORDS_FILE
from hllm.serving.onnx_incremental import prepare_onnx
from hllm.serving.quantize import dequantize_blocks, quantize_blocks
from hllm.text import tokenize
from tests.hllm.serving.conftest import SIZES

CPU = torch.device("cpu")
BOOKS = [{"title": "Dune"}, {"title": "The Left Hand of Darkness, 1969"}, {"title": ""}]


@pytest.fixture(params=["item_token", "mean"])
def folder(request, tokenizer, tmp_path):
    torch.manual_seed(3)
    config = HLLMConfig(
        LlamaConfig(**SIZES | {"vocab_size": len(tokenizer)}),
        LlamaConfig(**SIZES),
        text_keys=["title"],
        item_pooling=request.param,
        item_adapter="linear",
        item_prompt="",
        max_text_tokens=24,
    )
    model = HLLM(config).eval()
    with torch.no_grad():  # at first all texts look alike
        for parameter in model.item_llm.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    save_model(model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


def whole_model(folder, book):
    model, tokenizer = load_model(folder)
    ids = tokenize(tokenizer, [model.config.item_text(book)], model.config.max_text_tokens)
    with torch.inference_mode():
        return model.encode_items(ids)[0]


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book["title"] or "empty")
def test_it_gives_the_embedding_of_the_model(folder, book):
    encoder = ItemModel(folder)
    assert encoder.precision == "fp32"
    torch.testing.assert_close(encoder.encode(book), whole_model(folder, book))


@pytest.fixture
def in_few_bits(monkeypatch):
    monkeypatch.setattr(precision, "LOW_BITS_FROM_PARAMETERS", 0)
    monkeypatch.setattr(precision, "FOUR_BITS_FROM_PARAMETERS", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@torch.no_grad()
def rounded(language_model, bits):
    for module in language_model.modules():
        if isinstance(module, torch.nn.Linear):
            values = dequantize_blocks(*quantize_blocks(module.weight, bits), bits)
            module.weight.copy_(values[:, : module.in_features])
    return language_model


def test_one_of_middle_size_stays_exact(folder, tmp_path, in_few_bits, monkeypatch):
    monkeypatch.setattr(precision, "FOUR_BITS_FROM_PARAMETERS", 1 << 40)
    assert ItemModel(folder, cache=tmp_path).precision == "fp32"


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book["title"] or "empty")
def test_few_bits_compute_with_the_rounded_weights(folder, tmp_path, in_few_bits, book):
    bits = 4
    encoder = ItemModel(folder, cache=tmp_path)
    assert (encoder.precision, encoder.device) == (f"int{bits}", "cpu")
    found = encoder.encode(book)
    oracle = item_model._item_half(ModelFolder(folder), rounded(load_item_llm(folder), bits))
    ids = tokenize(load_model(folder)[1], [oracle.config.item_text(book)], 24)
    with torch.inference_mode():
        expected = oracle.encode_items(ids)[0]
    # The graph also rounds what its products read to 8 bits.
    assert torch.cosine_similarity(found, expected, dim=0) > 0.99


def test_word_embeddings_are_exact(folder, tmp_path, in_few_bits):
    path = prepare_onnx(ModelFolder(folder), tmp_path, bits=4, tower=ITEM_LLM)
    words = np.load(path.with_name(WORDS_FILE))
    assert torch.equal(
        torch.from_numpy(words), load_item_llm(folder).get_input_embeddings().weight.data
    )


@torch.no_grad()
def test_nf4_computes_with_the_rounded_weights(folder):
    item_llm, oracle = load_nf4_item_llm(ModelFolder(folder), CPU), load_item_llm(folder)
    modules = dict(item_llm.named_modules())
    for name, module in oracle.named_modules():
        if isinstance(module, torch.nn.Linear):
            weight = modules[name].weight
            module.weight.copy_(dequantize_4bit(weight.data, weight.quant_state))
    ids = tokenize(load_model(folder)[1], ["title: Dune"], 24)
    found, expected = (
        item_model._item_half(ModelFolder(folder), llm).encode_items(ids)[0].float()
        for llm in (item_llm, oracle)
    )
    assert torch.cosine_similarity(found, expected, dim=0) > 0.99


def test_nothing_is_read_before_the_first_item(folder):
    (folder / "model.safetensors").unlink()
    encoder = ItemModel(folder)
    with pytest.raises(CheckpointError, match="missing or damaged"):
        encoder.encode(BOOKS[0])


def test_models_that_are_no_llama_stay_exact(tmp_path, make_model, in_few_bits, tokenizer):
    model = make_model()
    model.config.item_config.hidden_act = "gelu"
    model.item_llm = make_item_llm(model.config.item_config)
    save_model(model, tmp_path / "model", tokenizer)
    assert ItemModel(tmp_path / "model").precision == "fp32"


@pytest.mark.parametrize("book", BOOKS, ids=lambda book: book["title"] or "empty")
def test_the_text_is_that_which_is_encoded(folder, book):
    model, tokenizer = load_model(folder)
    text = model.config.item_text(book)
    whole = tokenizer(text)["input_ids"]
    limit = model.config.max_text_tokens
    found = ItemModel(folder).text_of(book)
    assert found.text == text
    assert found.num_tokens == min(len(whole), limit)
    assert found.is_cut == (len(whole) > limit)
    # Every byte is a token, behind <s>.
    assert found.unread == text[limit - 1 :] and bool(found.unread) == found.is_cut
    ids = whole[:limit][:MAX_TOKENS_SHOWN]
    assert found.tokens == tuple(tokenizer.decode([token]) for token in ids)
    assert found.has_item_token == (model.config.item_pooling == "item_token")


def test_the_text_is_told_without_loading_the_item_llm(folder):
    encoder = ItemModel(folder)
    encoder.text_of(BOOKS[0])
    assert encoder._encode is None


def test_a_text_is_told_while_the_item_llm_loads(folder):
    encoder = ItemModel(folder)
    with encoder._lock:  # whoever loads or encodes has it
        assert encoder.text_of(BOOKS[0]).text == "title: Dune"
    encoder.load()
    loaded = encoder._encode
    assert loaded is not None
    encoder.encode(BOOKS[0])
    assert encoder._encode is loaded


def test_a_large_one_is_encoded_elsewhere(folder, monkeypatch):
    asked = []

    def elsewhere(path, token_ids):
        asked.append((path, token_ids))
        with torch.inference_mode():
            return load_item_half(path).encode_items(token_ids).float().numpy()

    assert ItemModel(folder, elsewhere=elsewhere).precision == "fp32"  # it is small
    monkeypatch.setattr(item_model, "FOUR_BITS_FROM_PARAMETERS", 0)
    encoder = ItemModel(folder, elsewhere=elsewhere)
    assert (encoder.precision, encoder.device) == ("bf16", "cuda")
    encoder.load()
    found = encoder.encode(BOOKS[1])
    assert [(path, len(ids)) for path, ids in asked] == [(folder, 1)]
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found, whole_model(folder, BOOKS[1]), dim=0) > 0.99
    assert encoder._encode is None  # nothing of it was loaded to answer here
