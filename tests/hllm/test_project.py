import builtins

import pytest
import torch

from hllm.errors import DataError
from hllm.project import fit_umap, main
from hllm.serving.projection import load_projection
from hllm.store import EMBEDDINGS, PROJECTION, ItemEmbeddings


@pytest.fixture
def folder(tmp_path):
    vectors = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    ids = [f"item-{n}" for n in range(40)]
    ItemEmbeddings(ids, [f"{n:016x}" for n in range(40)], vectors, "x").save(tmp_path / EMBEDDINGS)
    return tmp_path


def test_the_command_stores_a_map_beside_the_embeddings(folder):
    assert main(["--model", str(folder), "--method", "pca"]) == 0
    found = load_projection(folder / PROJECTION, ItemEmbeddings.load(folder / EMBEDDINGS))
    assert found.method == "PCA" and found.places.shape == (40, 2)


def test_embeddings_elsewhere_have_their_map_beside_them(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / EMBEDDINGS).rename(elsewhere / "games.safetensors")
    options = ["--model", str(folder), "--embeddings", str(elsewhere / "games.safetensors")]
    assert main([*options, "--method", "pca"]) == 0
    assert (elsewhere / PROJECTION).exists() and not (folder / PROJECTION).exists()


def test_what_is_missing_is_one_sentence(tmp_path, caplog):
    assert main(["--model", str(tmp_path), "--method", "pca"]) == 2
    assert "No item embeddings" in caplog.text


def test_without_umap_it_is_said_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without_umap(name, *rest, **options):
        if name == "umap":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_umap)
    with pytest.raises(DataError, match=r"pip install -r requirements-umap\.txt"):
        fit_umap(torch.randn(40, 5))


def test_too_few_items_for_umap_are_said():
    with pytest.raises(DataError, match=r"10 items and there are 3: --method pca"):
        fit_umap(torch.randn(3, 5))


@pytest.mark.slow  # umap compiles itself when it is first used: a minute
def test_umap_keeps_groups_apart_and_gives_the_same_map_again():
    pytest.importorskip("umap")
    generator = torch.Generator().manual_seed(0)
    groups = torch.eye(8)[torch.arange(120) % 2] + 0.05 * torch.randn(120, 8, generator=generator)
    first, again = fit_umap(groups), fit_umap(groups)
    assert torch.equal(first.places, again.places)
    one, other = first.places[::2], first.places[1::2]
    assert torch.cdist(one, other).min() > torch.cdist(one, one).max() / 4
    assert float(first.places.abs().max()) <= 1
