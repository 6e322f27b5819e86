from dataclasses import replace

import numpy as np
import pytest
import torch

from app.columns import Column
from app.opening import BUILT_IN_MODELS
from app.static_space import models
from app.static_space.models import check_like_the_server, numbered, write_baseline, write_hllm
from hllm.errors import HLLMError
from hllm.recommend import load_hllm


@pytest.fixture(scope="module")
def column():
    column = Column("hllm", "HLLM", lambda: load_hllm(BUILT_IN_MODELS[0], precision="fp32"))
    column.load_or_raise()
    column.model_folder = BUILT_IN_MODELS[0]
    return column


def numbers_of(column):
    return {item_id: number for number, item_id in enumerate(reversed(column.wait().item_ids))}


def test_rows_know_their_items_and_stages_say_where_they_run(column, tmp_path):
    found = write_hllm(tmp_path, column, numbers_of(column)).data
    ids = column.wait().item_ids
    assert found["numbers"] == list(range(len(ids)))[::-1]
    assert found["width"] == 256 and found["maxHistory"] == 50 and found["blend"] is None
    assert [(tmp_path / name).stat().st_size for name in found["vectors"]["files"]] == [
        2 * 256 * len(ids)
    ]
    assert "WebAssembly" in found["stages"][1]["facts"]


def test_what_the_page_computes_is_compared_with_the_server(column, tmp_path):
    written = write_hllm(tmp_path, column, numbers_of(column))
    assert check_like_the_server(written, column.wait()) < 2e-4
    other = replace(written, vectors=written.vectors[:, ::-1].copy())
    with pytest.raises(HLLMError, match=r"differ by .* from the server's, more than 0\.001"):
        check_like_the_server(other, column.wait())


def test_large_models_are_refused(column, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "MAX_PARAMETERS", 1_000_000)
    with pytest.raises(HLLMError, match="has 1 million parameters: every visitor"):
        write_hllm(tmp_path, column, numbers_of(column))


def test_items_without_an_embedding_are_named(column, tmp_path):
    numbers = {**numbers_of(column), "new": 1397}
    with pytest.raises(HLLMError, match="no embedding for 1 items of the catalogue, such as 'new'"):
        write_hllm(tmp_path, column, numbers)


def test_embeddings_beyond_half_precision_are_refused(fake_recommender, tmp_path):
    recommender = fake_recommender("Baseline", ["a", "b"])
    recommender.item_embedding = lambda item: torch.full((2,), 1e6)
    column = Column("baseline", "Baseline", lambda: recommender)
    column.load_or_raise()
    with pytest.raises(HLLMError, match="too large for half precision"):
        write_baseline(tmp_path, column, {"a": 0, "b": 1})


def test_baseline_has_its_decay(fake_recommender, tmp_path):
    column = Column("baseline", "Baseline", lambda: fake_recommender("Baseline", ["a", "b"]))
    column.load_or_raise()
    found = write_baseline(tmp_path, column, {"a": 1, "b": 0})
    assert found["decay"] == 0.7 and found["numbers"] == [1, 0]
    stored = np.frombuffer((tmp_path / found["vectors"]["files"][0]).read_bytes(), "<f2")
    assert stored.shape == (16,)


def test_items_that_only_a_model_knows_have_numbers_below_0(fake_recommender):
    rankers = [fake_recommender("HLLM", ["x", "b", "a"]), fake_recommender("B", ["a", "y"])]
    assert numbered(["b", "a"], rankers) == {"b": 0, "a": 1, "x": -1, "y": -2}
