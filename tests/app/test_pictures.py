"""The pictures of items over HTTP: the folder of --covers gives nothing else."""

from dataclasses import replace

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.catalog import CatalogItem
from app.pictures import picture_route
from app.service import Service


@pytest.fixture
def client(tmp_path, new_service):
    items = [
        CatalogItem(item_id="a"),
        CatalogItem(item_id="../x & y/ü", image="named.webp"),
        CatalogItem(item_id="out", image="../secret.png"),
        CatalogItem(item_id="none"),
        CatalogItem(item_id="script", image="evil.svg"),
    ]
    covers = tmp_path / "covers"
    covers.mkdir()
    for name in ("a.PNG", "a.png", "named.webp", "evil.svg", "nobody.png", "../secret.png"):
        Image.new("RGB", (200, 300), "red").save(covers / name, "WEBP" if "webp" in name else "PNG")
    made = new_service(tmp_path / "c.db", items)
    service = Service(made.catalog, made.columns, covers=covers)
    return TestClient(Starlette(routes=[picture_route(service, tmp_path / "kept")]))


def get(client, item_id):
    return client.get("/covers", params={"item": item_id})


def test_a_picture_is_served_as_a_small_copy(client):
    answer = get(client, "a")
    assert answer.status_code == 200 and answer.content[8:12] == b"WEBP"
    assert answer.headers["content-type"] == "image/webp"
    assert get(client, "../x & y/ü").headers["content-type"] == "image/webp"


@pytest.mark.parametrize(
    "item_id",
    ["nobody", "", "../secret", "a.png", "a\x00", "\ud800", "A" * 5000],
)
def test_there_is_nothing_else(client, item_id):
    answer = client.get(
        "/covers?item=" + "".join(f"%{b:02x}" for b in item_id.encode("utf-8", "surrogatepass"))
    )
    assert (answer.status_code, answer.json()) == (
        404,
        {"detail": "There is no picture of this item."},
    )


def test_without_a_question_or_a_folder(client, service, tmp_path):
    assert client.get("/covers").status_code == 404
    bare = TestClient(Starlette(routes=[picture_route(service, tmp_path / "kept")]))
    assert get(bare, "book-001").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize("item_id", ["out", "none", "script"])
def test_item_without_a_picture_of_the_folder_is_drawn(client, item_id):
    answer = get(client, item_id)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/svg+xml"
    assert "<script" not in answer.text


def test_a_drawn_cover_is_kept_under_its_own_version_only(service, tmp_path):
    [card] = service.cards_of(["book-001"])
    drawn = TestClient(Starlette(routes=[picture_route(service, tmp_path / "kept")]))
    assert "immutable" in drawn.get(card.cover).headers["cache-control"]
    assert drawn.get(card.cover + "0").headers["cache-control"] == "no-cache"


def test_a_catalogue_that_is_gone_is_said(service, tmp_path):
    service.catalog.path.unlink()
    answer = get(
        TestClient(Starlette(routes=[picture_route(service, tmp_path / "kept")])), "book-001"
    )
    assert answer.status_code == 503 and "cannot be read" in answer.json()["detail"]


def test_items_of_two_catalogues_with_one_id_have_pictures_of_their_own(
    tmp_path, new_service, new_items, beside
):
    books = new_service(tmp_path / "1.db", new_items(3), name="Books")
    games = [replace(item, title=f"Game {item.item_id}") for item in new_items(5)]
    other = new_service(tmp_path / "2.db", games, name="Games")
    first = beside(books=books, games=other)
    client = TestClient(Starlette(routes=[picture_route(first, tmp_path / "kept")]))
    for service, word in ((books, "Book"), (other, "Game")):
        answer = client.get(service.cards_of(["book-001"])[0].cover)
        assert word in answer.text and "immutable" in answer.headers["cache-control"]
    assert "Game" in get(client, "book-004").text  # only one of them has it
    old = get(client, "book-001")
    assert "Book" in old.text and old.headers["cache-control"] == "no-cache"
