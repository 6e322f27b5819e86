"""Frozen, top and whole: each embeds what the model itself would, and trains its part alone."""

import pytest
import torch

import hllm.embed
from hllm.checkpoint import load_model
from hllm.embed import encode_catalog, stored_or_encoded
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import tokenize
from hllm.training import initial_model
from hllm.training.option_rules import ITEM_TRAINING
from tests.hllm.training.runs import small_trainer, train_ring


def test_frozen_cache_trains_as_running_the_item_llm_would(ring, tmp_path):
    """The cached states are those that the model gives at every step."""
    trainer, _ = train_ring(ring, tmp_path / "run", epochs=1)
    step = trainer.trainee.step.eval()
    items = torch.tensor([1, 5, 24, 5])
    texts = trainer.trainee.texts
    token_ids = tokenize(texts.tokenizer, texts.texts, step.model.config.max_text_tokens)
    with torch.inference_mode():
        cached = step.item_embeddings(items)
        run = step.model.encode_items([token_ids[i] for i in items.tolist()])
    assert torch.allclose(cached, run, atol=1e-4)


def test_frozen_embeddings_equal_those_of_the_saved_model(ring, tmp_path):
    train_ring(ring, tmp_path / "run")
    stored = ItemEmbeddings.load(tmp_path / "run" / EMBEDDINGS)
    model, tokenizer = load_model(tmp_path / "run")
    rows = (ring / "items.csv").read_text().splitlines()[1:]
    prompt = model.config.item_prompt
    texts = {i: f"{prompt}title: {title}" for i, title in (row.split(",") for row in rows)}
    expected = encode_catalog(
        model, tokenizer, [texts[item_id] for item_id in stored.item_ids], progress=False
    )
    assert torch.allclose(stored.vectors.float(), expected, atol=2e-2, rtol=2e-3)


def trained(model):
    """Which parameters of the item side require a gradient."""
    item_side = ("item_llm.", "item_emb_tokens", "item_adapter.")
    return {
        name
        for name, value in model.named_parameters()
        if name.startswith(item_side) and value.requires_grad
    }


@pytest.mark.parametrize("pooling", ["mean", "item_token"])
@pytest.mark.parametrize("way", ITEM_TRAINING)
def test_each_way_trains_its_part_of_the_item_side(small, tmp_path, monkeypatch, way, pooling):
    monkeypatch.setattr(initial_model, "_require_cuda", lambda: None)
    run = small_trainer(small, tmp_path / "run", item_training=way, item_pooling=pooling)
    names = trained(run.trainee.model)
    adapter = {"item_adapter.weight", "item_adapter.bias"}
    assert adapter <= names
    llm = {name for name in names - adapter if name.startswith("item_llm.")}
    by_token = pooling == "item_token" and way not in ("frozen", "top")
    assert names - adapter - llm == ({"item_emb_tokens"} if by_token else set())
    if way == "frozen":
        assert not llm
    elif way == "top":
        assert all(".1." in name or name == "item_llm.norm.weight" for name in llm)
        assert len(llm) > 1
    elif way == "full":
        assert llm == {n for n, _ in run.trainee.model.named_parameters() if "item_llm." in n}
    else:
        assert llm
        assert all("lora_" in name for name in llm)


@pytest.mark.parametrize("way", ["frozen", "top", "full"])
def test_all_embeddings_are_those_of_the_model_one_by_one(small, tmp_path, way):
    """Batches by length put every item back in its place."""
    trainee = small_trainer(small, tmp_path / "run", item_training=way).trainee
    trainee.step.eval()
    texts, model = trainee.texts, trainee.model
    token_ids = tokenize(texts.tokenizer, texts.texts, model.config.max_text_tokens)
    with torch.inference_mode():
        expected = torch.cat([model.encode_items([ids]) for ids in token_ids])
    found = trainee._encoder.embed_all(texts)
    torch.testing.assert_close(found[1:], expected[1:].cpu(), atol=1e-4, rtol=1e-4)
    assert found[1:].std(dim=0).min() > 0.01


@pytest.fixture
def encoded(monkeypatch):
    """Texts that went through the Item LLM."""
    seen, real = [], hllm.embed.item_batches

    def counting(model, tokenizer, texts, **options):
        for places, vectors in real(model, tokenizer, texts, **options):
            seen.extend(texts[place] for place in places)
            yield places, vectors

    monkeypatch.setattr(hllm.embed, "item_batches", counting)
    return seen


def test_a_second_run_of_a_sweep_encodes_nothing(small, tmp_path, encoded):
    """Frozen states, the whitening of the other ways, and a trained model on other items."""
    options = {"item_adapter": "mlp", "item_adapter_hidden_size": 8}
    first = small_trainer(small, tmp_path / "first", **options)
    first.run()
    assert len(encoded) == len(set(first.trainee.texts.texts)) == 13
    encoded.clear()
    again = small_trainer(small, tmp_path / "second", learning_rate=0.1, user_size=32, **options)
    assert torch.equal(again.trainee._encoder._states, first.trainee._encoder._states)
    for way in ("top", "lora"):
        small_trainer(small, tmp_path / way, item_training=way, **options)
    model, tokenizer = load_model(tmp_path / "first")
    (tmp_path / "first" / EMBEDDINGS).unlink()
    pair = ("new", first.trainee.texts.texts[1])
    stored_or_encoded(tmp_path / "first", model, tokenizer, [pair])
    assert encoded == []


def test_another_item_llm_is_encoded(small, tmp_path, encoded):
    first = small_trainer(small, tmp_path / "first", item_pooling="mean")
    encoded.clear()
    small_trainer(small, tmp_path / "token", item_pooling="item_token")
    assert len(encoded) == len(set(first.trainee.texts.texts))


def test_embeddings_start_with_the_size_that_is_asked_for(small, tmp_path):
    """Also behind a whitening, and with every adapter weight in proportion."""
    options = {"item_adapter": "mlp", "item_adapter_hidden_size": 8}
    as_it_comes = small_trainer(small, tmp_path / "one", **options)
    scaled = small_trainer(small, tmp_path / "two", **options, item_embedding_rms=6)
    items = torch.arange(1, as_it_comes.trainee.texts.num_trained)
    with torch.inference_mode():
        one, two = (run.trainee._encoder.embed(items) for run in (as_it_comes, scaled))
    assert two.square().mean().sqrt().item() == pytest.approx(6, rel=1e-5)
    torch.testing.assert_close(two, one * (6 / one.square().mean().sqrt()), atol=1e-4, rtol=1e-4)
