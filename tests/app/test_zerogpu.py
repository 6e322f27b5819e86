"""Embeddings from a GPU that is lent, and from the same function where none is.

What needs the package `spaces` and ZeroGPU around it: tests/app/test_space.py.
"""

import numpy as np
import pytest
import torch

from app import zerogpu
from app.settings import ROOT
from app.zerogpu import (
    FEWEST_SECONDS,
    MOST_SECONDS,
    TOKENS_PER_SECOND,
    GPUError,
    encode_lent,
    is_lent,
    report_start,
    seconds_for,
)
from hllm.embed import load_encoder
from hllm.errors import CheckpointError
from hllm.text import tokenize

FOLDER = ROOT / "assets" / "books" / "model"


@pytest.fixture
def fresh(monkeypatch):
    """Nothing is loaded yet."""
    monkeypatch.setattr(zerogpu, "_encoders", {})


def test_gpus_are_lent_with_the_package_on_zerogpu_alone(monkeypatch):
    monkeypatch.setattr(zerogpu, "spaces", object())
    assert not is_lent()
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert is_lent()
    monkeypatch.setattr(zerogpu, "spaces", None)
    assert not is_lent()
    report_start()  # there is nobody to tell


def test_short_times_are_declared():
    one, catalogue = np.array([100]), np.array([TOKENS_PER_SECOND] * 7)
    assert seconds_for(FOLDER, one, one) == FEWEST_SECONDS
    assert seconds_for(FOLDER, one, catalogue) == FEWEST_SECONDS + 7
    assert seconds_for(FOLDER, one, np.repeat(catalogue, 100)) == MOST_SECONDS


def test_without_a_gpu_the_function_gives_the_embeddings_of_the_model(fresh):
    model, tokenizer = load_encoder(FOLDER, torch.device("cpu"))
    ids = tokenize(tokenizer, ["title: Dune", "title: A much longer title, 1969", ""], 64)
    with torch.inference_mode():
        expected = model.encode_items(ids)
    found = encode_lent(FOLDER, ids)
    assert found.shape == expected.shape and found.dtype == np.float32
    cosines = torch.cosine_similarity(torch.from_numpy(found), expected)
    assert cosines.min() > 0.999  # bfloat16
    assert [*zerogpu._encoders] == [FOLDER]  # what a process with a GPU would find


def test_no_gpu_is_asked_for_a_model_that_cannot_be_loaded(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(zerogpu, "encode_on_gpu", lambda *_: pytest.fail("asked for a GPU"))
    with pytest.raises(CheckpointError, match="No HLLM model at"):
        encode_lent(tmp_path, [[1]])


def refusal(message):
    """An error as ZeroGPU's package raises it."""
    return type("Error", (Exception,), {"message": message})()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (refusal("GPU task aborted"), "GPU task aborted"),
        (
            refusal(
                "Used up. Try again in 1:00:00. Authenticate with a token for more - https://x"
            ),
            "Used up. Try again in 1:00:00",
        ),
        (refusal("No GPU after 60s [Create an account](https://x) for more."), "No GPU after 60s"),
        (ConnectionError("refused"), "ConnectionError"),
    ],
)
def test_what_went_wrong_is_one_sentence(fresh, monkeypatch, error, words):
    def refuse(*_):
        raise error

    monkeypatch.setattr(zerogpu, "encode_on_gpu", refuse)
    monkeypatch.setattr(zerogpu, "_encoder", lambda _: None)
    with pytest.raises(GPUError) as raised:
        encode_lent(FOLDER, [[1]])
    assert str(raised.value) == f"No GPU has encoded the text ({words}): try again later."
