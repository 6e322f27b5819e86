"""What is installed for a catalogue: names, numbers, reasons, and models that really answer."""

import json

import pytest
import torch

from app import installed, loaded, taken
from app.books import readers
from app.catalog import Catalog, CatalogItem
from app.errors import CatalogError
from app.installed import model_folders
from app.opening import open_service
from app.settings import Settings
from hllm.baselines.id_models import IDModelConfig, make_id_model, save_id_model
from hllm.data import PAD_ID
from hllm.errors import CheckpointError
from tests.waiting import wait_until

HISTORY = ["dune-herbert", "solaris-lem"]


def save_sasrec(folder, item_ids):
    torch.manual_seed(0)
    config = IDModelConfig(
        kind="sasrec", num_items=len(item_ids) + 1, hidden_size=16, num_heads=2, max_history=20
    )
    save_id_model(make_id_model(config), folder, [PAD_ID, *item_ids])
    return folder


@pytest.fixture(scope="module")
def books(tmp_path_factory):
    """The built-in books with a SASRec, one of another catalogue, and a damaged folder."""
    folder = tmp_path_factory.mktemp("books")
    few = open_service(Settings(data_dir=folder / "data"))
    item_ids = [item.item_id for item in few.catalog.iter_items()]
    few.close()
    save_sasrec(folder / "runs" / "a sasrec", item_ids)
    save_sasrec(folder / "runs" / "foreign", ["x", "y", "z"])
    (folder / "runs" / "damaged").mkdir()
    (folder / "runs" / "damaged" / "config.json").write_text('{"model_type": "hllm"')
    with pytest.MonkeyPatch.context() as patch:
        real = readers.simulate
        patch.setattr(taken, "simulate", lambda shelf, n, seed: real(shelf, 300, seed))
        patch.setattr(loaded, "RESTS_S", 0)  # more kinds than are held are asked for at once
        service = open_service(
            Settings(data_dir=folder / "data", models=(folder / "runs",), left="a-sasrec")
        )
        wait_until(lambda: all(column.is_loaded for column in service.columns))
        yield service
        service.close()


def test_all_kinds_are_offered_and_those_that_do_not_fit_say_why(books):
    offers = {offer.name: offer for offer in books.models.offers()}
    assert [*offers] == [
        "hllm", "minilm-decay", "minilm-mean", "minilm-last", "item-knn", "popularity",
        "smollm2", "a-sasrec", "damaged", "foreign",
    ]  # fmt: skip
    fitting = [name for name, offer in offers.items() if not offer.problem]
    assert fitting == [n for n in offers if n not in ("damaged", "foreign")]
    assert "knows 0 of the 1,397 items" in offers["foreign"].problem
    assert "--model_kind sasrec" in offers["foreign"].remedy
    assert str(books.catalog.path.parent.parent) not in "".join(o.problem for o in offers.values())
    assert "config.json" in offers["damaged"].problem and "\n" not in offers["damaged"].problem
    assert "recall@10 0.340" in offers["hllm"].numbers
    assert "recall@10 0.330" in offers["item-knn"].numbers
    assert offers["a-sasrec"].numbers == "not evaluated"


@pytest.mark.parametrize("name", ["minilm-mean", "minilm-last", "item-knn", "popularity"])
def test_every_kind_answers_in_a_column(books, name):
    pair = ("hllm", name)
    wait_until(lambda: all(c.is_loaded for c in books.models.columns_of(pair)), 60)
    answer = books.seen_with({"models": list(pair)}).answer(HISTORY, None)
    assert [column.info.state for column in answer.columns] == ["ready", "ready"]
    assert all(len(column.result.items) == 100 for column in answer.columns)
    assert not {i.item_id for i in answer.columns[1].result.items} & set(HISTORY)


def test_the_model_of_the_start_is_the_named_one_and_nothing_is_counted_for_hllm(books):
    assert [column.title for column in books.columns] == ["SASRec a-sasrec", "Baseline"]
    assert not books.counts_picks
    shown = books.answer(HISTORY, "0123456789abcdef")
    assert shown.columns[0].info.model.startswith("SASRec, 2 layers of 16")


def test_a_catalogue_without_interactions_cannot_be_counted(tmp_path):
    with Catalog.create(tmp_path / "c.db") as catalog:
        catalog.add_items([CatalogItem(item_id=f"i{n}", title=f"Item {n}") for n in range(5)])
    service = open_service(Settings(catalog=tmp_path / "c.db", data_dir=tmp_path))
    problems = {offer.name: offer.problem for offer in service.models.offers()}
    assert "app.ingest" in problems["item-knn"] and "hllm.sentence" in problems["minilm-mean"]
    assert "smollm2" not in problems  # it is of the built-in books
    service.close()


def test_folders_are_found_and_bounded(tmp_path, monkeypatch, caplog):
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({}))
    assert [f.name for f in model_folders([tmp_path, tmp_path / "b"])] == ["a", "b", "c", "b"]
    monkeypatch.setattr(installed, "MOST_FOLDERS", 2)
    assert len(model_folders([tmp_path])) == 2 and "first 2 are offered" in caplog.text
    with pytest.raises(CheckpointError, match="--models"):
        model_folders([tmp_path / "gone"])


def test_a_model_of_another_catalogue_that_is_named_is_an_error_of_the_start(tmp_path):
    save_sasrec(tmp_path / "foreign", ["x", "y"])
    with pytest.raises(CatalogError, match="another catalogue"):
        open_service(
            Settings(data_dir=tmp_path / "d", models=(tmp_path / "foreign",), right="foreign")
        )
