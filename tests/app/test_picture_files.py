"""Pictures of items: found by name, decoded within bounds, kept small."""

import io
import os
import struct
import zlib

import pytest
from PIL import Image

from app import picture_files
from app.catalog import CatalogItem
from app.picture_files import SmallPictures, picture_path, picture_version, small_copy


def save(path, size=(900, 900), colour="red", mode="RGB", **options):
    Image.new(mode, size, colour).save(path, **options)
    return path


def opened(encoded):
    picture = Image.open(io.BytesIO(encoded))
    picture.load()
    return picture


@pytest.mark.parametrize("item_id", ["x" * 305, "字" * 200, "a/" * 100 + "b"])
def test_id_that_cannot_be_a_file_name_has_no_picture(tmp_path, item_id):
    assert picture_path(CatalogItem(item_id=item_id), tmp_path) is None
    assert picture_path(CatalogItem(item_id="a", image=item_id + ".png"), tmp_path) is None


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "gif"])
def test_copy_has_the_shape_of_a_cover(tmp_path, ending):
    path = save(tmp_path / f"wide.{ending}", (1600, 900))
    picture = opened(small_copy(path))
    assert picture.format == "WEBP" and picture.size == (400, 600)
    red, green, blue = picture.convert("RGB").getpixel((200, 300))
    assert red > 240 and green < 15 and blue < 15


def test_small_pictures_are_not_made_larger(tmp_path):
    assert opened(small_copy(save(tmp_path / "a.png", (100, 300)))).size == (100, 150)
    assert opened(small_copy(save(tmp_path / "b.png", (1, 1)))).size == (1, 1)


def test_copy_stands_upright_and_tells_nothing_else(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010E] = "taken at home"
    picture = opened(small_copy(save(tmp_path / "a.jpg", (600, 400), exif=exif)))
    assert picture.size == (400, 600) and not picture.getexif()


def test_transparent_parts_stay_transparent(tmp_path):
    path = save(tmp_path / "a.png", (40, 60), (0, 0, 0, 0), mode="RGBA")
    assert opened(small_copy(path)).getpixel((20, 30))[3] == 0


def bomb(path, width, height):
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("size", [(8_000, 8_000), (60_000, 60_000)])
def test_picture_of_too_many_pixels_is_never_decoded(tmp_path, size, monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("decoded"))
    with pytest.raises(Exception, match="pixels"):
        small_copy(bomb(tmp_path / "bomb.png", *size))


def test_file_of_too_many_bytes_is_never_opened(tmp_path):
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(picture_files.MAX_FILE_BYTES + 1)
    with pytest.raises(ValueError, match="32 MiB"):
        small_copy(path)


def test_what_is_no_picture_is_said_once_and_drawn(tmp_path, caplog):
    whole = save(tmp_path / "whole.jpg").read_bytes()
    pictures = SmallPictures(tmp_path / "kept")
    for name, content in (("cut.jpg", whole[: len(whole) // 2]), ("page.png", b"<html>")):
        path = tmp_path / name
        path.write_bytes(content)
        assert pictures.get(path) is None and pictures.get(path) is None
    assert [name in caplog.text for name in ("cut.jpg", "page.png")] == [True, True]
    assert len(caplog.records) == 2
    svg = tmp_path / "svg.png"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    assert pictures.get(svg) is None


def test_copy_is_made_once_for_every_content(tmp_path, monkeypatch):
    path = save(tmp_path / "a.png")
    kept = tmp_path / "kept"
    first = SmallPictures(kept).get(path)
    before = picture_version(path)
    with monkeypatch.context() as patch:
        patch.setattr(picture_files, "small_copy", lambda _: pytest.fail("decoded again"))
        assert SmallPictures(kept).get(path) == first
    save(path, colour="blue")
    os.utime(path, (1, 1))
    assert picture_version(path) != before
    assert opened(SmallPictures(kept).get(path)).convert("RGB").getpixel((9, 9))[2] > 240


def test_folder_of_copies_is_bounded_and_the_oldest_go(tmp_path):
    paths = [save(tmp_path / f"{n}.png", colour=(n, 0, 0)) for n in range(12)]
    size = len(small_copy(paths[0]))
    kept = tmp_path / "kept"
    pictures = SmallPictures(kept, max_bytes=6 * size)
    for path in paths:
        pictures.get(path)
    assert sum(copy.stat().st_size for copy in kept.iterdir()) <= 6 * size + 20
    assert (kept / f"{picture_version(paths[-1])}.webp").exists()
    assert not (kept / f"{picture_version(paths[0])}.webp").exists()


def test_picture_is_shown_where_no_copy_can_be_kept(tmp_path, caplog):
    (tmp_path / "kept").write_text("a file")
    assert opened(SmallPictures(tmp_path / "kept").get(save(tmp_path / "a.png"))).size == (400, 600)
    assert "could not be kept" in caplog.text
