import copy

import pytest
import torch
from transformers import AutoModel, BertConfig, DynamicCache

from hllm.config import HLLMConfig
from hllm.model import HLLM, ItemAdapter


def close(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=1e-4)


def bert_model():
    torch.manual_seed(0)
    bert = BertConfig(
        vocab_size=259, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=40, initializer_range=0.2,
    )  # fmt: skip
    llama = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
             "num_hidden_layers": 1, "num_attention_heads": 4}  # fmt: skip
    return HLLM(HLLMConfig(bert, llama, max_text_tokens=32, right_align_positions=True)).eval()


@torch.no_grad()
def oracle(model, ids):
    """One item at a time, without padding, mask or batch."""
    embeds = model.item_llm.get_input_embeddings()(torch.tensor([ids], dtype=torch.long))
    if model.config.item_pooling == "item_token":
        embeds = torch.cat([embeds, model.item_emb_tokens], dim=1)
    start = model.config.max_text_tokens - len(ids) if model.config.right_align_positions else 0
    positions = torch.arange(start, start + embeds.shape[1]).unsqueeze(0)
    states = model.item_llm(inputs_embeds=embeds, position_ids=positions).last_hidden_state[0]
    state = states[-1] if model.config.item_pooling == "item_token" else states.mean(0)
    return model.item_adapter(state.unsqueeze(0))[0]


@pytest.mark.parametrize("pooling", ["item_token", "mean"])
@pytest.mark.parametrize("aligned", [False, True])
def test_batch_of_items_is_one_item_at_a_time(make_model, token_ids, pooling, aligned):
    model = make_model(item_pooling=pooling, right_align_positions=aligned)
    with torch.no_grad():
        batch = model.encode_items(token_ids)
    close(batch, torch.stack([oracle(model, ids) for ids in token_ids]))


def test_batch_of_items_with_learned_positions(token_ids):
    model = bert_model()
    with torch.no_grad():
        batch = model.encode_items(token_ids)
    close(batch, torch.stack([oracle(model, ids) for ids in token_ids]))


def test_where_positions_start_matters_for_learned_positions_not_for_rope(make_model, token_ids):
    with torch.no_grad():
        rope = [
            make_model(right_align_positions=flag).encode_items(token_ids) for flag in (False, True)
        ]
        learned = bert_model()
        aligned = learned.encode_items(token_ids)
        learned.config.right_align_positions = False
        shifted = learned.encode_items(token_ids)
    close(*rope, tolerance=1e-4)
    assert (aligned - shifted).abs().max() > 0.01


def test_no_text_tokens_at_all(tiny_model):
    with torch.no_grad():
        batch = tiny_model.encode_items([[], [1, 5, 6]])
        alone = tiny_model.encode_items([[]])
    close(batch[:1], alone)
    assert torch.isfinite(batch).all()


def test_item_token_is_read_and_learned(tiny_model, token_ids):
    tiny_model.encode_items(token_ids).square().sum().backward()
    assert tiny_model.item_emb_tokens.grad.abs().sum() > 0
    changed = copy.deepcopy(tiny_model)
    with torch.no_grad():
        changed.item_emb_tokens.add_(1)
        difference = changed.encode_items(token_ids) - tiny_model.encode_items(token_ids)
    assert (difference.abs().amax(dim=1) > 1e-3).all()


@torch.no_grad()
def test_padding_on_the_right_changes_nothing(tiny_model):
    items = torch.randn(3, 5, 32)
    states = tiny_model.encode_users(items).last_hidden_state
    padded = torch.cat([items, torch.full((3, 4, 32), 9.0)], dim=1)
    close(tiny_model.encode_users(padded).last_hidden_state[:, :5], states)


@torch.no_grad()
def test_a_later_item_does_not_reach_an_earlier_state(tiny_model):
    items = torch.randn(1, 6, 32)
    before = tiny_model.encode_users(items).last_hidden_state
    items[0, 4] += 5
    after = tiny_model.encode_users(items).last_hidden_state
    close(after[:, :4], before[:, :4])
    assert (after[:, 4:] - before[:, 4:]).abs().max() > 1e-2


@torch.no_grad()
def test_appending_to_a_cache_is_the_full_pass(tiny_model):
    items = torch.randn(1, 6, 32)
    full = tiny_model.encode_users(items).last_hidden_state
    cache = DynamicCache(config=tiny_model.config.user_config)
    steps = []
    for part in (items[:, :3], items[:, 3:4], items[:, 4:]):
        output = tiny_model.encode_users(part, past_key_values=cache, use_cache=True)
        steps.append(output.last_hidden_state)
    close(torch.cat(steps, dim=1), full)


@torch.no_grad()
def test_forward_is_items_then_users(tiny_model, token_ids):
    histories = torch.tensor([[0, 2, 2], [4, 1, 3]])
    states = tiny_model(token_ids, histories)
    embeddings = tiny_model.encode_items(token_ids)
    close(states, tiny_model.encode_users(embeddings[histories]).last_hidden_state)


def test_what_has_no_part_in_the_model_is_not_there(tiny_model):
    names = [name for name, _ in tiny_model.named_parameters()]
    assert not [name for name in names if "lm_head" in name or "pooler" in name]
    assert not [name for name in names if name.startswith("user_llm.embed")]
    assert "item_emb_tokens" in names
    assert "logit_scale" in names


def test_start_values(make_model):
    torch.manual_seed(1)
    model = HLLM(make_model().config)
    assert model.logit_scale.item() == pytest.approx(2.6593, abs=1e-4)  # ln(1 / 0.07)
    assert 0.01 < model.item_emb_tokens.std().item() < 0.03


def test_save_and_load_as_any_transformers_model(tiny_model, tmp_path, token_ids):
    tiny_model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path, local_files_only=True).eval()
    assert isinstance(loaded, HLLM)
    assert loaded.config.text_keys == tiny_model.config.text_keys
    with torch.no_grad():
        close(loaded.encode_items(token_ids), tiny_model.encode_items(token_ids), tolerance=0)
        items = torch.randn(1, 3, 32)
        ours, theirs = (m.encode_users(items).last_hidden_state for m in (tiny_model, loaded))
    close(theirs, ours, tolerance=0)


def test_other_width_needs_an_adapter(make_model):
    wide = {"user_config": {"model_type": "llama", "hidden_size": 48, "intermediate_size": 64,
                            "num_hidden_layers": 1, "num_attention_heads": 4}}  # fmt: skip
    item = make_model().config.item_config
    with pytest.raises(ValueError, match=r"32 and User LLM width 48 differ: set item_adapter"):
        HLLM(HLLMConfig(item, **wide))
    for adapter in ("linear", "mlp"):
        model = HLLM(HLLMConfig(item, item_adapter=adapter, **wide))
        assert model.encode_items([[1, 2], [1]]).shape == (2, 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item_pooling": "max"}, r"item_pooling 'max': choose from item_token, mean"),
        ({"item_adapter": "big"}, r"item_adapter 'big': choose from none, linear, mlp"),
        ({"max_text_tokens": 0}, r"max_text_tokens 0: must be at least 1"),
        ({"max_history": -1}, r"max_history -1: must be at least 1"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        HLLMConfig(**options)


def test_whitening_makes_uncorrelated_states_of_unit_variance():
    torch.manual_seed(0)
    states = torch.randn(500, 8) @ torch.randn(8, 8) + 3
    adapter = ItemAdapter(8, 16, 4)
    adapter.fit_whitening(states, shrinkage=0.0)
    with torch.no_grad():
        white = adapter.whiten(states)
    close(white.mean(0), torch.zeros(8), tolerance=1e-4)
    close(torch.cov(white.T), torch.eye(8), tolerance=1e-3)
    assert not adapter.whiten.weight.requires_grad


def test_whitening_of_constant_dimensions_is_finite():
    adapter = ItemAdapter(4, 8, 4)
    adapter.fit_whitening(torch.cat([torch.randn(50, 2), torch.ones(50, 2)], dim=1))
    assert torch.isfinite(adapter(torch.randn(3, 4))).all()
