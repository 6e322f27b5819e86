"""Several catalogues in one app, from settings to services."""

from dataclasses import replace

import pytest

from app.catalog import Catalog
from app.opening import open_service
from app.option_values import Chosen
from app.settings import Settings
from hllm.errors import HLLMError
from tests.waiting import wait_until


@pytest.fixture
def shelf(tmp_path, new_items):
    """Two catalogues besides the built-in one, of which the second has no model."""
    for name, count in (("Games", 7), ("Büro", 5)):
        with Catalog.create(tmp_path / f"{name}.db", name=name) as catalog:
            catalog.add_items(new_items(count))
    return Settings(
        data_dir=tmp_path / "data",
        others=(Chosen(tmp_path / "Games.db", tmp_path), Chosen(tmp_path / "Büro.db")),
    )


def test_several_catalogues_are_open_from_the_start_and_load_when_they_are_asked(shelf):
    first = open_service(shelf)
    assert list(first.installed) == ["books", "Games", "B-ro"]
    assert [one.num_items for one in first.installed.values()][1:] == [7, 5]
    assert all(one.installed is first.installed for one in first.installed.values())
    assert len({one.events._file.path for one in first.installed.values()}) == 3
    other = first.installed["B-ro"]
    assert other.models._loaded is first.models._loaded
    assert other.models._loaded._held == {}
    wait_until(lambda: all(c.is_loaded for c in first.seen_with({"catalog": "B-ro"}).columns))
    messages = [column.info().message for column in first.seen_with({"catalog": "B-ro"}).columns]
    assert "python -m hllm.train" in messages[0] and "python -m hllm.sentence" in messages[1]
    assert all("--catalog FILE=FOLDER" in message for message in messages)
    assert first.seen_with({}) is first
    first.close()


def test_two_catalogues_of_one_name_are_an_error(shelf, tmp_path, new_items):
    with Catalog.create(tmp_path / "again.db", name="Games") as catalog:
        catalog.add_items(new_items(3))
    twice = replace(shelf, others=(*shelf.others, Chosen(tmp_path / "again.db")))
    with pytest.raises(HLLMError, match=r"both called 'Games'.*--name"):
        open_service(twice)


def test_a_further_catalogue_that_cannot_be_used_is_an_error_of_the_start(shelf, tmp_path):
    for wrong in (Chosen(tmp_path / "gone.db"), Chosen(shelf.others[0].catalog, tmp_path / "gone")):
        with pytest.raises(HLLMError, match="gone"):
            open_service(replace(shelf, others=(wrong,)))
