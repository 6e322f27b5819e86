import math

import pytest
import torch
import torch.nn.functional as F

from hllm.baselines.id_models import (
    IDModelConfig,
    load_id_model,
    make_id_model,
    save_id_model,
)
from hllm.errors import CheckpointError

KINDS = ["sasrec", "esasrec", "hstu", "id-llama"]


def make(kind, **changes):
    torch.manual_seed(0)
    options = {
        "num_items": 20, "hidden_size": 16, "num_layers": 2, "num_heads": 4, "max_history": 6,
        "dropout": 0.0,
    }  # fmt: skip
    model = make_id_model(IDModelConfig(kind=kind, **options | changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    return model


def close(actual, expected, tolerance=1e-5):
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_later_item_does_not_reach_an_earlier_state(kind):
    model = make(kind)
    items = torch.randn(2, 6, 16)
    before = model.encode_users(items)
    assert before.shape == items.shape
    items[:, 4] = torch.randn(2, 16)  # no constant: LayerNorm would remove it
    after = model.encode_users(items)
    close(after[:, :4], before[:, :4])
    assert (after[:, 4:] - before[:, 4:]).abs().amax(dim=(0, 2)).min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_padding_on_the_right_changes_nothing(kind):
    model = make(kind)
    items, lengths = torch.randn(3, 6, 16), torch.tensor([1, 4, 6])
    batch = model.encode_users(items, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = model.encode_users(items[row : row + 1, :length])
        close(batch[row, :length], alone[0])


@pytest.mark.parametrize("kind", ["sasrec", "esasrec", "hstu"])
@torch.no_grad()
def test_positions_count_from_the_end_of_the_window(kind):
    model = make(kind)
    items = torch.randn(1, 2, 16)
    newest = model.positions(items, None)[0, -1]
    close(newest, model.positions.table.weight[5])
    close(model.positions(items, torch.tensor([1]))[0, 0], model.positions.table.weight[5])
    with pytest.raises(ValueError, match="7 items: the model reads at most 6"):
        model.encode_users(torch.randn(1, 7, 16))


@torch.no_grad()
def test_sasrec_by_hand():
    model = make("sasrec", num_layers=1, num_heads=2)
    items = torch.randn(1, 3, 16)
    layer = model.layers[0]
    states = model.norm(items + model.positions.table.weight[3:6])
    weights = layer.self_attn.in_proj_weight.chunk(3)
    query, key, value = (
        F.linear(states, weight).unflatten(-1, (2, 8)).transpose(1, 2) for weight in weights
    )
    scores = query @ key.transpose(-1, -2) / math.sqrt(8)
    scores += torch.full((3, 3), -1e9).triu(1)
    mixed = (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)
    states = layer.norm1(states + layer.self_attn.out_proj(mixed))
    inner = layer.linear2(F.gelu(layer.linear1(states)))
    close(model.encode_users(items), layer.norm2(states + inner))
    assert layer.linear1.out_features == 16  # inner x1


@torch.no_grad()
def test_esasrec_by_hand():
    model = make("esasrec")
    items = torch.randn(1, 3, 16)
    hidden = ~torch.ones(3, 3, dtype=torch.bool).tril()
    states = items + model.positions.table.weight[3:6]
    for layer in model.layers:
        states = layer(states, hidden)
    close(model.encode_users(items), states)  # no norm before or behind the layers
    assert model.layers[0].activated.out_features == 4 * 16
    assert make("esasrec", inner_size=8).layers[0].activated.out_features == 8


@torch.no_grad()
def test_hstu_by_hand():
    model = make("hstu", num_layers=1, num_heads=2)
    items = torch.randn(1, 3, 16)
    layer = model.layers[0]
    states = items + model.positions.table.weight[3:6]
    mapped = F.silu(F.linear(F.layer_norm(states, (16,), eps=1e-6), layer.uvqk.weight))
    u, v, q, k = mapped[0].chunk(4, dim=-1)
    mixed = torch.zeros(3, 16)
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        for i in range(3):
            for j in range(i + 1):
                mixed[i, part] += F.silu(q[i, part] @ k[j, part]) / 6 * v[j, part]
    expected = states[0] + layer.output(u * F.layer_norm(mixed, (16,), eps=1e-6))
    close(model.encode_users(items)[0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_everything_learns(kind):
    model = make(kind)
    histories = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7]])
    states = model.encode_users(model.item_embeddings(histories), torch.tensor([3, 4]))
    candidates = model.item_embeddings(torch.arange(1, 20))
    logits = states[[0, 1], [2, 3]] @ candidates.T * model.logit_scale.exp()
    F.cross_entropy(logits, torch.tensor([4, 7])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert model.item_table.weight.grad[0].abs().sum() == 0  # padding


@pytest.mark.parametrize("kind", KINDS)
def test_start_values(kind):
    model = make_id_model(IDModelConfig(kind=kind, num_items=500, hidden_size=32))
    assert model.item_table.weight[0].abs().sum() == 0
    assert 0.018 < model.item_table.weight[1:].std().item() < 0.022
    assert model.logit_scale.item() == pytest.approx(math.log(1 / 0.07))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.abs().sum() == 0, name
        elif parameter.ndim == 1:
            assert (parameter == 1).all(), name


def test_fixed_temperature_is_not_learned():
    model = make("sasrec", learn_temperature=False)
    assert model.logit_scale.exp().item() == pytest.approx(20)
    assert not model.logit_scale.requires_grad


@pytest.mark.parametrize("learn_temperature", [True, False])
def test_dot_products_have_no_temperature(learn_temperature):
    model = make("esasrec", cosine=False, learn_temperature=learn_temperature)
    assert model.logit_scale.exp().item() == 1
    assert not model.logit_scale.requires_grad


@torch.no_grad()
def test_item_table_narrower_than_the_model():
    model = make("id-llama", id_size=4, num_key_value_heads=2)
    assert model.item_table.weight.shape == (20, 4)
    assert model.item_embeddings().shape == (20, 16)
    close(model.item_embeddings(torch.tensor([3]))[0], model.item_embeddings()[3])


def test_dropout_only_in_training():
    model = make("sasrec", dropout=0.5)
    items = torch.randn(1, 4, 16)
    close(model.encode_users(items), model.encode_users(items))
    model.train()
    assert not torch.equal(model.encode_users(items), model.encode_users(items))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "gru"}, r"kind 'gru': choose from sasrec, esasrec, hstu, id-llama"),
        ({"hidden_size": 10}, r"hidden_size 10 is not divisible by num_heads 4"),
        ({"num_items": 1}, r"num_items 1"),
    ],
)
def test_impossible_settings(options, message):
    with pytest.raises(ValueError, match=message):
        make(**{"kind": "sasrec"} | options)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_save_and_load(kind, tmp_path):
    model = make(kind)
    item_ids = ["[PAD]", *(f"\u00e9{number}" for number in range(1, 20))]
    save_id_model(model, tmp_path / "new" / "run", item_ids)
    loaded, ids = load_id_model(tmp_path / "new" / "run")
    assert ids == item_ids
    assert not loaded.training
    items = torch.randn(1, 4, 16)
    close(loaded.encode_users(items), model.encode_users(items), tolerance=0)


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(CheckpointError, match="no usable ID model"):
        load_id_model(tmp_path)
    save_id_model(make("hstu"), tmp_path, ["[PAD]"])
    with pytest.raises(CheckpointError, match="names 1 items, the model has 20"):
        load_id_model(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="restore the file or train again"):
        load_id_model(tmp_path)
