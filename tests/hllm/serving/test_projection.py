import logging

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.settings import ROOT
from hllm.errors import StaleEmbeddingsError
from hllm.serving.projection import (
    PCA,
    UMAP,
    fit_pca,
    fitted,
    load_projection,
    open_projection,
    save_projection,
)
from hllm.store import EMBEDDINGS, PROJECTION, ItemEmbeddings

BOOKS = ROOT / "assets" / "books" / "model"


def embeddings_of(num_items=60, width=6, fingerprint="model"):
    generator = torch.Generator().manual_seed(num_items)
    vectors = torch.randn(num_items, width, generator=generator) * torch.linspace(3, 0.1, width)
    ids = [f"item-{n}" for n in range(num_items)]
    return ItemEmbeddings(ids, [f"{n:016x}" for n in range(num_items)], vectors, fingerprint)


def nearest_in(vectors):
    def nearest(vector, top_k):
        values, rows = torch.cosine_similarity(vectors, vector[None]).topk(top_k)
        return list(zip(rows.tolist(), values.tolist(), strict=True))

    return nearest


def test_pca_is_that_of_the_normalised_embeddings():
    vectors = embeddings_of().vectors
    places = fit_pca(vectors).places
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    left, values, _ = torch.linalg.svd(unit - unit.mean(dim=0), full_matrices=False)
    expected = left[:, :2] * values[:2]
    for axis in (0, 1):  # up to sign, place and one scale
        correlation = torch.corrcoef(torch.stack([places[:, axis], expected[:, axis]]))[0, 1]
        assert abs(correlation) > 0.9999
    spread = places.std(dim=0) / expected.std(dim=0)
    assert spread[0] == pytest.approx(float(spread[1]), rel=1e-4)


def test_places_fill_the_map_and_an_item_has_the_place_of_its_embedding():
    vectors = embeddings_of().vectors
    found = fit_pca(vectors)
    assert 0.98 < float(found.places.abs().max()) <= 1
    for row in (0, 59):
        assert found.place_of(5 * vectors[row], nearest_in(vectors)) == pytest.approx(
            found.places[row].tolist(), abs=1e-5
        )


@pytest.mark.parametrize(("num_items", "width"), [(1, 6), (2, 6), (7, 1)])
def test_pca_of_next_to_nothing_is_finite(num_items, width):
    assert torch.isfinite(fit_pca(embeddings_of(num_items, width).vectors).places).all()


def test_where_no_linear_map_does_a_place_is_that_of_the_nearest_items():
    vectors = embeddings_of().vectors
    found = fitted(UMAP, torch.rand(60, 2, generator=torch.Generator().manual_seed(1)) * 40)
    rows, cosines = zip(*nearest_in(vectors)(vectors[3], 10), strict=True)
    weights = torch.tensor(cosines)
    expected = (found.places[list(rows)] * weights[:, None]).sum(dim=0) / weights.sum()
    assert found.place_of(vectors[3], nearest_in(vectors)) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("method", [PCA, UMAP])
def test_what_is_stored_comes_back(tmp_path, method):
    embeddings = embeddings_of()
    made = fit_pca(embeddings.vectors)
    made = made if method == PCA else fitted(UMAP, made.places)
    save_projection(made, embeddings, tmp_path / PROJECTION)
    found = load_projection(tmp_path / PROJECTION, embeddings)
    assert found.method == method
    assert torch.equal(found.places, made.places)
    nearest = nearest_in(embeddings.vectors)
    vector = embeddings.vectors[1] + embeddings.vectors[2]
    assert found.place_of(vector, nearest) == made.place_of(vector, nearest)


@pytest.mark.parametrize(
    "other", [embeddings_of(fingerprint="another model"), embeddings_of(61), embeddings_of(59)]
)
def test_a_projection_of_other_embeddings_is_refused(tmp_path, other):
    embeddings = embeddings_of()
    save_projection(fit_pca(embeddings.vectors), embeddings, tmp_path / PROJECTION)
    with pytest.raises(StaleEmbeddingsError, match=r"other item embeddings.*python -m hllm\.proj"):
        load_projection(tmp_path / PROJECTION, other)


def test_a_damaged_projection_is_refused(tmp_path):
    embeddings, path = embeddings_of(), tmp_path / PROJECTION
    save_projection(fit_pca(embeddings.vectors), embeddings, path)
    whole = path.read_bytes()
    for damaged in (whole[:-9], whole[:-1] + bytes([whole[-1] ^ 1]), b"", b"{}"):
        path.write_bytes(damaged)
        with pytest.raises(StaleEmbeddingsError, match="damaged"):
            load_projection(path, embeddings)
    path.write_bytes(whole)
    tensors = load_file(path)
    save_file({**tensors, "more": torch.zeros(1)}, path)
    with pytest.raises(StaleEmbeddingsError, match="damaged"):
        load_projection(path, embeddings)


def test_where_none_is_usable_a_pca_is_computed_and_that_is_said(tmp_path, caplog):
    embeddings, path = embeddings_of(), tmp_path / EMBEDDINGS
    embeddings.save(path)
    plain = open_projection(embeddings.vectors, path)
    assert (plain.method, plain.note) == (PCA, "")
    assert open_projection(embeddings.vectors, None).method == PCA
    other = embeddings_of(fingerprint="another model")
    save_projection(fitted(UMAP, plain.places), other, tmp_path / PROJECTION)
    with caplog.at_level(logging.WARNING):
        found = open_projection(embeddings.vectors, path)
    assert found.method == PCA and "cannot be used" in found.note
    assert torch.equal(found.places, plain.places)
    assert "was made for other item embeddings" in caplog.text


def test_the_map_of_the_built_in_books_belongs_to_their_embeddings():
    embeddings = ItemEmbeddings.load(BOOKS / EMBEDDINGS)
    found = open_projection(embeddings.vectors, BOOKS / EMBEDDINGS)
    assert (found.method, found.note) == (UMAP, "")
    assert len(found.places) == len(embeddings.item_ids) == 1397
    assert (BOOKS / PROJECTION).stat().st_size < 12_000
    # It keeps neighbours together: by chance, one of a hundred would.
    unit = torch.nn.functional.normalize(embeddings.vectors.float(), dim=-1)
    near = (unit @ unit.T).topk(11).indices[:, 1:]
    near_here = (-torch.cdist(found.places, found.places)).topk(51).indices[:, 1:]
    kept = (near[:, :, None] == near_here[:, None, :]).any(dim=2).float().mean()
    assert kept > 0.5
