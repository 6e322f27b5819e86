"""Names that options offer: what is chosen by them offers the same ones, and no others."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hllm.baselines import id_models
from hllm.baselines.text_scorer import pool_history
from hllm.choices import (
    ADAPTERS,
    BASELINES,
    EARLY_FUSION,
    GENERATIVE,
    HISTORY_POOLINGS,
    ID_MODELS,
    LATE_FUSION,
    OBJECTIVES,
    POOLINGS,
)
from hllm.errors import CheckpointError
from hllm.evaluate import DataSet, baseline_scorers, sentence_vectors
from hllm.model import ItemAdapter
from hllm.schema.configs import check_hllm, check_id_model


def test_names_need_no_model_library():
    code = "import sys, hllm.choices; print(*sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert "hllm.choices" in done.stdout.split()
    assert {"torch", "transformers", "numpy"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    ("key", "names"),
    [("item_pooling", POOLINGS), ("item_adapter", ADAPTERS), ("objective", OBJECTIVES)],
)
def test_stored_configurations_may_have_each_name_and_no_other(key, names):
    for name in names:
        check_hllm({key: name}, "config.json")
    offered = ", ".join(f'"{name}"' for name in names)
    with pytest.raises(CheckpointError, match=f"{key}.*one of {offered}(?!, )"):
        check_hllm({key: "other"}, "config.json")


def test_every_id_model_can_be_made_and_stored():
    assert tuple(id_models._CLASSES) == ID_MODELS
    for kind in ID_MODELS:
        config = {"model_type": id_models.ID_MODEL_TYPE, "kind": kind, "num_items": 3}
        check_id_model(config, "config.json")
    offered = ", ".join(f'"{kind}"' for kind in ID_MODELS)
    with pytest.raises(CheckpointError, match=f"one of {offered}(?!, )"):
        check_id_model(config | {"kind": "gru4rec"}, "config.json")


def test_every_adapter_is_a_module_of_its_own(make_model):
    made = [type(make_model(item_adapter=name).item_adapter) for name in ADAPTERS]
    assert dict(zip(ADAPTERS, made, strict=True)) == {
        "none": nn.Identity, "linear": nn.Linear, "mlp": ItemAdapter,
    }  # fmt: skip


def test_every_pooling_embeds_items_differently(make_model):
    token, mean = (make_model(item_pooling=name).encode_items([[5, 6, 7]]) for name in POOLINGS)
    assert not torch.allclose(token, mean, atol=1e-3)


def test_every_objective_has_its_head(make_model):
    heads = {name: make_model(objective=name).click_head for name in OBJECTIVES}
    assert heads[GENERATIVE] is None
    assert heads[EARLY_FUSION].user_token is None
    assert heads[LATE_FUSION].user_token.shape == (32,)


def test_every_history_pooling_weighs_a_history_differently():
    weights = {name: pool_history(torch.eye(2), name)[0].item() for name in HISTORY_POOLINGS}
    assert weights == {"mean": 0.5, "last": 0.0, "decay": pytest.approx(0.7 / 1.7)}


def test_every_baseline_is_made_by_its_name(tmp_path):
    interactions, items = tmp_path / "interactions.csv", tmp_path / "items.csv"
    rows = [f"i{item},u{user},{item}\n" for user in range(2) for item in range(4)]
    interactions.write_text("item_id,user_id,timestamp\n" + "".join(rows))
    items.write_text("item_id,title\n" + "".join(f"i{item},Book {item}\n" for item in range(4)))
    data = DataSet.read(interactions, items)
    scorers = list(baseline_scorers(BASELINES, data, sentence_vectors(data, ["title"])))
    assert [scorer.name for scorer in scorers] == [
        "Popularity", "Item-kNN", "Transition graph",
        "MiniLM mean", "MiniLM last", "MiniLM decay", "Transition graph and MiniLM",
    ]  # fmt: skip
    scores = [scorer.score([np.array([1, 2, 3])]) for scorer in scorers]
    assert all(score.shape == (1, 5) for score in scores)
    assert len({tuple(score[0, 1:].tolist()) for score in scores}) == len(BASELINES)
