"""What the page shows of an item: short texts, and pictures of one folder only."""

import re

import pytest

from app.cards import MAX_DESCRIPTION_CHARS, MAX_TITLE_CHARS, drawn_version, make_card
from app.catalog import CatalogItem
from app.picture_files import PICTURE_ENDINGS, picture_path


def test_card_is_drawn_without_pictures_and_never_from_the_network():
    item = CatalogItem(item_id="a", title=" T \n x ", image="https://example.com/a.jpg", year=-441)
    card = make_card(item)
    assert re.fullmatch(rf"covers\?item=a&v={drawn_version(item)}", card.cover)
    assert (card.title, card.year) == ("T x", "441 BC")
    assert make_card(CatalogItem(item_id="no-title")).title == "no-title"


def test_card_takes_pictures_from_the_folder_only(tmp_path):
    covers = tmp_path / "covers"
    covers.mkdir()
    (covers / "a.jpg").write_bytes(b"x")
    (covers / "b c.png").write_bytes(b"x")
    (tmp_path / "secret.png").write_bytes(b"x")

    def cover(item_id, image=""):
        return make_card(CatalogItem(item_id=item_id, title="T", image=image), covers).cover

    assert re.fullmatch(r"covers\?item=a&v=[0-9a-f]{16}", cover("a"))
    assert cover("../x&y", image="b c.png").startswith("covers?item=..%2Fx%26y&v=")
    for item_id, image in [
        ("x" * 305, ""),
        ("y", "z" * 305),
        ("../secret", ""),
        ("x", "../secret.png"),
        ("x", "https://h/a.jpg"),
    ]:
        drawn = drawn_version(CatalogItem(item_id=item_id, title="T"))
        assert cover(item_id, image).endswith(f"&v={drawn}")


def test_a_drawn_cover_has_another_address_when_it_looks_different():
    versions = {
        drawn_version(item)
        for item in (
            CatalogItem(item_id="a", title="T"),
            CatalogItem(item_id="a", title="U"),
            CatalogItem(item_id="a", title="T", creator="C"),
            CatalogItem(item_id="a", title="T", categories=("Horror",)),
            CatalogItem(item_id="b", title="T"),
        )
    }
    assert len(versions) == 5
    same = CatalogItem(item_id="a", title="T", description="other words")
    assert drawn_version(same) in versions


def test_texts_are_one_line_and_cut_where_they_are_too_long():
    exact = make_card(CatalogItem(item_id="a", title="t" * MAX_TITLE_CHARS))
    assert exact.title == "t" * MAX_TITLE_CHARS
    longer = make_card(
        CatalogItem(item_id="a", title="t" * MAX_TITLE_CHARS + "u", description="w " * 500)
    )
    assert longer.title == "t" * (MAX_TITLE_CHARS - 1) + "…"
    assert len(longer.description) <= MAX_DESCRIPTION_CHARS and longer.description.endswith("w…")


@pytest.mark.parametrize(
    ("year", "shown"), [(None, ""), (1965, "1965"), (1, "1"), (0, "0 BC"), (-400, "400 BC")]
)
def test_years(year, shown):
    assert make_card(CatalogItem(item_id="a", year=year)).year == shown


def test_an_image_that_is_named_comes_before_one_by_id(tmp_path):
    for name in ("a.png", "b.webp"):
        (tmp_path / name).write_bytes(b"x")
    item = CatalogItem(item_id="a", image="b.webp")
    assert picture_path(item, tmp_path) == tmp_path.resolve() / "b.webp"
    assert picture_path(CatalogItem(item_id="a"), tmp_path) == tmp_path.resolve() / "a.png"
    assert picture_path(CatalogItem(item_id="a", image="gone.jpg"), tmp_path).name == "a.png"
    assert picture_path(item, None) is None


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a", "a.txt"])
def test_only_pictures_are_pictures(tmp_path, name):
    (tmp_path / name).write_bytes(b"<script>")
    assert picture_path(CatalogItem(item_id="a", image=name), tmp_path) is None
    assert ".svg" not in PICTURE_ENDINGS


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    covers = tmp_path / "covers"
    covers.mkdir()
    (covers / "a.png").symlink_to(tmp_path / "secret.png")
    assert picture_path(CatalogItem(item_id="a"), covers) is None
