"""What the page is told of the catalogues: names, sizes, and what is missing for an answer."""

import pytest

from app.catalogs_payload import catalogs_payload
from app.columns import Column
from app.contract_catalogs import CatalogModelPayload, CatalogPayload
from app.loaded import Installed
from app.models import Models
from app.service import Service
from hllm.errors import StaleEmbeddingsError


@pytest.fixture
def bare(tmp_path, new_service, new_items):
    """A catalogue without embeddings."""

    def missing():
        raise StaleEmbeddingsError("There are no embeddings.")

    made = new_service(tmp_path / "bare.db", new_items(3), name="Bare <b>")
    models = Models(
        [
            Installed("hllm", lambda: Column("hllm", "HLLM", missing), "", missing, "make them"),
            Installed("b", lambda: Column("baseline", "Baseline", missing), "", missing),
        ],
        ("hllm", "b"),
        stays=False,
    )
    return Service(made.catalog, None, models=models)


def test_all_are_listed_and_none_loads_for_it(service, bare, beside):
    first = beside(books=service, bare=bare)
    one, two = catalogs_payload(first)["catalogs"]
    assert catalogs_payload(bare)["catalogs"] == [one, two]
    assert one.keys() == CatalogPayload.__annotations__.keys()
    assert (one["name"], one["title"], one["size"]) == ("books", "Test books", "40 items")
    assert [model["problem"] for model in one["models"]] == ["", ""]
    assert (two["name"], two["title"], two["size"]) == ("bare", "Bare <b>", "3 items")
    assert two["models"][0].keys() == CatalogModelPayload.__annotations__.keys()
    assert [(m["title"], m["problem"], m["remedy"]) for m in two["models"]] == [
        ("HLLM", "There are no embeddings.", "make them"),
        ("Baseline", "There are no embeddings.", ""),
    ]
    assert bare.models._loaded._held == {}
