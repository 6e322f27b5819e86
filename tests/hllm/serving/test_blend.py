"""The sum of HLLM, text and neighbours against its definition, and what a damaged file may do."""

import dataclasses
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from hllm.errors import CheckpointError, StaleEmbeddingsError
from hllm.serving.blend import Blend, BlendWeights, blend_beside, catalog_of
from hllm.store import ItemEmbeddings

WEIGHTS = BlendWeights(text=0.5, rare_text=0.25, neighbours=0.4, decay=0.7)


@pytest.fixture
def embeddings():
    return ItemEmbeddings(["a", "b", "c", "d"], ["00" * 8] * 4, torch.eye(4), "f" * 16)


@pytest.fixture
def blend(embeddings):
    """Neighbours: a -> b 0.5 and c 0.25; b -> a 0.5; c -> a 0.25; d has none."""
    texts = F.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(3)), dim=1)
    return Blend(
        WEIGHTS,
        texts.half(),
        torch.tensor([0, 2, 3, 4, 4]),
        torch.tensor([1, 2, 0, 0], dtype=torch.int32),
        torch.tensor([0.5, 0.25, 0.5, 0.25]),
        torch.tensor([3, 8, 0, 1], dtype=torch.int32),
        catalog_of(embeddings),
    )


def test_the_sum_is_that_of_its_definition(blend):
    cosines = torch.tensor([[0.1, -0.2, 0.3, 0.4], [0.0, 0.5, 0.5, 0.5]])
    found = blend.scores(cosines, [[1, 0], [3]])
    texts = blend.texts.float()
    text = F.cosine_similarity(0.7 * texts[1] + texts[0], texts)
    # Of b, the older, a gets 0.7 * 0.5; of a, b gets 0.5 and c 0.25. The best of these is 0.5.
    near = torch.tensor([0.35, 0.5, 0.25, 0.0]) / 0.5
    factor = 0.5 + 0.25 / np.sqrt(1 + np.array([3, 8, 0, 1]))
    expected = cosines[0] + torch.tensor(factor).float() * text + 0.4 * near
    assert torch.allclose(found[0], expected, atol=2e-3)  # texts are of length 1 but for float16
    alone = cosines[1] + torch.tensor(factor).float() * F.cosine_similarity(texts[3:], texts)
    assert torch.allclose(found[1], alone, atol=2e-3)  # d has no neighbours: no NaN


def test_a_file_comes_back_as_it_was(blend, embeddings, tmp_path):
    blend.save(tmp_path / "blend.safetensors")
    found = blend_beside(tmp_path, embeddings)
    for field in dataclasses.fields(Blend):
        value, kept = getattr(blend, field.name), getattr(found, field.name)
        assert torch.equal(value, kept) if isinstance(value, torch.Tensor) else value == kept
    assert blend_beside(tmp_path / "elsewhere", embeddings) is None


def test_a_database_that_scores_candidates_only_is_refused(blend, embeddings, tmp_path):
    assert blend_beside(tmp_path, embeddings, "lancedb") is None
    blend.save(tmp_path / "blend.safetensors")
    with pytest.raises(CheckpointError, match=r"which lancedb does not compute: leave out --index"):
        blend_beside(tmp_path, embeddings, "lancedb")


def test_other_item_embeddings_are_noticed(blend, embeddings, tmp_path):
    blend.save(tmp_path / "blend.safetensors")
    for change in (
        {"item_ids": ["b", "a", "c", "d"]},
        {"text_hashes": ["01" * 8] * 4},
        {"fingerprint": "0" * 16},
    ):
        with pytest.raises(StaleEmbeddingsError, match=r"python -m hllm\.blend"):
            blend_beside(tmp_path, dataclasses.replace(embeddings, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"neighbours": torch.tensor([1, 2, 0, 4], dtype=torch.int32)}, "no row"),
        ({"neighbours": torch.tensor([1, 2, 0, -1], dtype=torch.int32)}, "no row"),
        ({"neighbours": torch.tensor([1, 2, 0, 0])}, "another type or shape"),
        ({"starts": torch.tensor([0, 3, 2, 4, 4])}, "do not divide"),
        ({"starts": torch.tensor([0, 2, 3, 4, 5])}, "do not divide"),
        ({"similarities": torch.tensor([0.5, float("nan"), 0.5, 0.25])}, "NaN"),
        ({"texts": torch.full((4, 6), float("inf")).half()}, "infinity"),
        ({"texts": torch.zeros(5, 6).half()}, "another type or shape"),
        ({"counts": torch.tensor([3, -8, 0, 1], dtype=torch.int32)}, "negative"),
        ({"weights": dataclasses.replace(WEIGHTS, text=float("nan"))}, "weight text"),
        ({"weights": dataclasses.replace(WEIGHTS, neighbours=-1.0)}, "weight neighbours"),
        ({"weights": dataclasses.replace(WEIGHTS, decay=True)}, "weight decay"),
    ],
)
def test_numbers_that_no_fit_writes_are_refused(blend, tmp_path, change, message):
    path = tmp_path / "blend.safetensors"
    dataclasses.replace(blend, **change).save(path)
    with pytest.raises(StaleEmbeddingsError, match=f"{re.escape(str(path))}.*{message}"):
        Blend.load(path)


def test_flipped_bits_cut_files_and_other_files_are_refused(blend, tmp_path):
    path = tmp_path / "blend.safetensors"
    blend.save(path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-3] ^= 1
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    for content in (bytes(flipped), whole[:-5], b"", (tmp_path / "other").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(StaleEmbeddingsError, match="remove it"):
            Blend.load(path)
