"""The Python that the page shows gives the list of the page, and says nothing of the server."""

import ast
from pathlib import Path

import pytest

from app import snippet
from app.catalog import NO_FILTER, ItemFilter
from app.columns import Column
from app.downloads import Downloads
from app.opening import open_service
from app.settings import ROOT, Settings
from tests.fresh_process import printed_by

HISTORY = ["dune-herbert", "solaris-lem", "the-martian-weir"]
FILTERED = ItemFilter(category="Fantasy")


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """The built-in books and their models, as the app opens them."""
    folder = tmp_path_factory.mktemp("data")
    service = open_service(Settings(data_dir=folder, model=ROOT / "assets" / "books" / "model"))
    yield service
    service.close()


def listed(service, item_filter):
    """Ids of the first list of the page."""
    answer = service.answer(HISTORY, None, item_filter=item_filter)
    return [item.item_id for item in answer.columns[0].result.items[:10]]


def test_the_lines_are_those_of_the_readme(books):
    found = Downloads(books).make(HISTORY, NO_FILTER).snippet
    assert found.code == (
        "from hllm import Recommender\n\n"
        "recommender = Recommender.from_pretrained('assets/books/model')\n"
        "found = recommender.recommend(['dune-herbert', 'solaris-lem', 'the-martian-weir'], "
        "top_k=10)\n"
        "for item in found.items:\n"
        "    print(item.rank, item.item_id, round(item.score, 3))\n"
    )
    assert "checkout" in found.hint


@pytest.mark.parametrize("item_filter", [NO_FILTER, FILTERED], ids=["all", "filtered"])
def test_the_lines_give_the_list_of_the_page(books, item_filter, capsys, monkeypatch):
    found = Downloads(books).make(HISTORY, item_filter).snippet
    monkeypatch.chdir(ROOT)
    code = found.code
    if item_filter:  # the catalogue of this test is in a folder of its own
        assert repr(books.catalog.path.name) in code
        code = code.replace(repr(books.catalog.path.name), repr(str(books.catalog.path)))
    exec(compile(code, "snippet", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in printed] == listed(books, item_filter)


@pytest.mark.slow
def test_the_lines_give_the_list_of_the_page_in_a_fresh_process(books):
    found = Downloads(books).make(HISTORY, NO_FILTER).snippet
    ids = [line.split()[1] for line in printed_by(found.code).splitlines()]
    assert ids == listed(books, NO_FILTER)


def test_paths_of_the_server_stay_there(books, monkeypatch):
    column: Column = books.columns[0]
    monkeypatch.setattr(column, "model_folder", Path("/srv/secret customer/games"))
    monkeypatch.setattr(column, "embeddings", Path("/srv/secret customer/new.safetensors"))
    found = Downloads(books).make(HISTORY, FILTERED).snippet
    assert "from_pretrained('games', embeddings='new.safetensors')" in found.code
    assert "secret" not in found.code and str(books.catalog.path.parent) not in found.code
    assert "Put your own path" in found.hint


def test_ids_are_quoted_whatever_they_are():
    odd = ["it's \"a\"\n\u202e'); import os #", "x" * 80]
    written = snippet._listed([repr(item_id) for item_id in odd], "top_k=10")
    assert ast.literal_eval(written) == odd
    assert written.isascii() and written.count("\n") == 3


def test_where_there_is_no_model_to_open_the_reason_is_said(service):
    found = Downloads(service).make(["book-001"], NO_FILTER).snippet
    assert found.code == ""
    assert found.hint.endswith(".")
