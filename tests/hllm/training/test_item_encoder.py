"""Frozen, top and whole: each embeds what the model itself would, and trains its part alone."""

import pytest
import torch

from hllm.checkpoint import load_model
from hllm.embed import encode_catalog
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
