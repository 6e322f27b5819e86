"""From downloaded files to what the app opens, each step once."""

import shutil

import pytest

from app.catalog import Catalog
from app.errors import DownloadError, IngestError
from app.get import make
from app.get.make import catalog_is_made, csv_pair, got_by_hand, make_catalog, pair_is_current
from app.get.registry import open_registry
from app.steps import Step
from tests.app.get.small_registry import data_files


@pytest.fixture
def games(data_server, library):
    """The small data set, with its files downloaded."""
    folder = library.downloads("amazon-games-2023")
    for kind, place in (("items", "meta"), ("interactions", "ratings")):
        (folder / kind).mkdir(parents=True)
        content = data_files()[f"/data.example/{place}/Small_Games.gz"]
        (folder / kind / "Small_Games.gz").write_bytes(content)
    return open_registry().data["amazon-games-2023"]


def test_a_data_set_becomes_a_catalogue_once(games, library, capsys):
    make_catalog(games, library)
    with Catalog.open(library.catalog(games.name)) as catalog:
        assert catalog.num_items == 24  # those that somebody bought
        assert catalog.count_interactions() == (96, 16)
        assert catalog.name == "Amazon Reviews 2023, Small Games.gz"
    assert csv_pair(games, library)[0].read_text().count("\n") == 25
    assert "$ python -m app.ingest amazon2023" in capsys.readouterr().out
    shutil.rmtree(library.downloads(games.name))  # may be deleted now
    make_catalog(games, library)
    assert capsys.readouterr().out == ""


def test_an_import_that_was_stopped_goes_on(games, library, monkeypatch):
    real = make.run_step
    monkeypatch.setattr(make, "run_step", lambda step: real(step) if step.name == "import" else 1)
    with pytest.raises(IngestError, match="The step export was not finished"):
        make_catalog(games, library)
    assert not catalog_is_made(games, library)
    ran = []
    monkeypatch.setattr(make, "run_step", lambda step: ran.append(step.name) or real(step))
    make_catalog(games, library)
    assert ran == ["export"] and catalog_is_made(games, library)


def test_other_files_under_a_made_catalogue_are_refused(games, library):
    make_catalog(games, library)
    csv_pair(games, library)[0].unlink()
    (library.downloads(games.name) / "items" / "Small_Games.gz").write_bytes(b"{}")
    with pytest.raises(IngestError, match="was made with other items"):
        make_catalog(games, library)


def test_what_a_person_gets_is_asked_for_and_then_imported(data_server, library):
    data = open_registry().data["hand-small"]
    with pytest.raises(
        DownloadError, match=r"https://data\.example/hand.*items\.csv.*same command"
    ):
        got_by_hand(data, library)
    folder = library.downloads(data.name)  # is there, to put them into
    (folder / "items.csv").write_text("item_id,title\na,One\nb,Two\n")
    (folder / "interactions.csv").write_text("item_id,user_id,timestamp\na,u,1\nb,u,2\n")
    make_catalog(data, library)
    with Catalog.open(library.catalog(data.name)) as catalog:
        assert catalog.num_items == 2


@pytest.mark.parametrize("text", [None, "{", "[]", '{"data_version": "other"}'])
def test_a_pair_of_another_catalogue_is_not_current(games, library, text):
    make_catalog(games, library)
    folder = library.pair(library.catalog(games.name), "hllm-small")
    folder.mkdir()
    for name in ("config.json", make.EMBEDDINGS, make.BASELINE):
        (folder / name).write_text("")
    if text:
        (folder / make.PAIR).write_text(text)
    assert not pair_is_current(folder, library.catalog(games.name))


def test_a_step_that_makes_nothing_is_an_error(tmp_path):
    with pytest.raises(IngestError, match="The step nothing was not finished"):
        make._run(Step("nothing", (tmp_path / "x",), work=lambda: None))
