"""Tuning the last layers behind cached states must be tuning them in the whole model."""

import copy

import numpy as np
import pytest
import torch
from transformers import BertConfig

from hllm.config import HLLMConfig
from hllm.errors import DataError
from hllm.model import HLLM
from hllm.training.batches import make_batch
from hllm.training.item_encoder import TopItems, WholeItems
from hllm.training.step import HLLMStep
from hllm.training.top_layers import TopLayers

TOKEN_IDS = [[], [1], [5, 6, 7], [1, 2], [3, 9, 4, 8, 2], [7, 7], [2, 4, 6, 8], [11]]


def bert_model(llama_config, **changes):
    item = BertConfig(
        vocab_size=20,
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(3)
    config = HLLMConfig(item, llama_config, item_adapter="linear", max_text_tokens=8, **changes)
    return HLLM(config).eval()


@pytest.fixture(params=["bert, mean", "bert, item_token", "llama"])
def model(request, tiny_model):
    if request.param == "llama":
        return tiny_model
    pooling = request.param.split(", ")[1]
    return bert_model(tiny_model.config.user_config, item_pooling=pooling)


def test_same_loss_and_gradients_as_in_the_whole_model(model):
    whole = copy.deepcopy(model)
    top = TopItems(model, TOKEN_IDS, 1)
    for name, parameter in whole.named_parameters():
        parameter.requires_grad_(dict(model.named_parameters())[name].requires_grad)
    batch = make_batch([[1, 2, 3], [4, 5]], np.arange(1, len(TOKEN_IDS)), 4, seed=[1])
    behind, _ = HLLMStep(top)(batch)
    oracle, _ = HLLMStep(WholeItems(whole, TOKEN_IDS))(batch)
    behind.backward()
    oracle.backward()
    torch.testing.assert_close(behind, oracle)
    tuned = []
    for (name, ours), (_, theirs) in zip(
        model.named_parameters(), whole.named_parameters(), strict=True
    ):
        assert (ours.grad is None) == (theirs.grad is None), name
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad, msg=name)
            tuned.append(name)
    last = f".{model.config.item_config.num_hidden_layers - 1}."
    assert any(name.startswith("item_llm.") and last in name for name in tuned)
    assert all(
        last in name or name == "item_llm.norm.weight"
        for name in tuned
        if name.startswith("item_llm.")
    )


def test_layers_below_run_once_and_stay_in_the_model(model):
    names = set(model.state_dict())
    layers = next(
        m for m in model.item_llm.modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 1
    )
    calls = []
    layers[0].register_forward_hook(lambda *_: calls.append(1))
    top = TopLayers(model, TOKEN_IDS, 1, progress=False)
    before = len(calls)
    embeddings = top.encode_items([2, 4])
    assert before > 0
    assert len(calls) == before
    assert set(model.state_dict()) == names
    torch.testing.assert_close(embeddings, model.encode_items([TOKEN_IDS[2], TOKEN_IDS[4]]))


@pytest.mark.parametrize("count", [0, 3])
def test_a_number_of_layers_that_cannot_be_is_one_clear_error(tiny_model, count):
    model = bert_model(tiny_model.config.user_config)
    with pytest.raises(DataError, match="choose 1 to 2, or --item_training full"):
        TopLayers(model, TOKEN_IDS, count, progress=False)
