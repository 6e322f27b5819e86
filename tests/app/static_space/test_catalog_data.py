import gzip
import json

from app.catalog.search_text import TITLE_MARK
from app.static_space import catalog_data
from app.static_space.catalog_data import catalog_data as make
from app.static_space.catalog_data import in_order, write_details, write_words


def read(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def test_orders_are_those_of_the_catalogue(service):
    items = list(in_order(service.catalog, "popularity"))
    data = make(service, items, [f"c{n}" for n in range(len(items))])
    years = [items[number].year for number in data["orders"]["newest"]]
    assert years == sorted(years, reverse=True)
    assert len(set(data["orders"]["title"])) == service.num_items == len(data["items"]["id"])
    assert data["items"]["cover"][3] == "c3"


def test_items_hold_texts_and_no_html(tmp_path, new_service, new_hostile_items, hostile_titles):
    service = new_service(tmp_path / "c.db", new_hostile_items())
    items = list(in_order(service.catalog, "popularity"))
    data = make(service, items, ["c"] * len(items))
    assert data["items"]["title"] == list(hostile_titles)
    assert "<img src=x" not in data["popular"]
    assert [data["categoryNames"][n] for [n] in data["items"]["categories"]] == list(hostile_titles)


def test_words_and_details_come_in_files(service, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog_data, "WORDS_PER_FILE", 15)
    monkeypatch.setattr(catalog_data, "DETAILS_PER_FILE", 30)
    items = list(in_order(service.catalog, "popularity"))
    names = write_words(tmp_path, items)
    assert [len(read(tmp_path / name)) for name in names] == [15, 15, 10]
    assert f"{TITLE_MARK}book" in read(tmp_path / names[0])[0].split()
    assert write_details(tmp_path, service, service.columns[0].wait(), items) == 30
    parts = [read(tmp_path / f"data/details-{n}.json.gz") for n in (0, 1)]
    assert [len(part) for part in parts] == [30, 10]
    before, behind, inside = parts[1][9]
    assert "What happens in book 39." in before
    assert "book-039" in behind and "item-token" in inside
