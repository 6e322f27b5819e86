from PIL import Image

from app.catalog import CatalogItem
from app.static_space import covers
from app.static_space.covers import write_covers


def test_pictures_and_drawn_covers_have_numbers_for_names(tmp_path, monkeypatch):
    monkeypatch.setattr(covers, "PER_FOLDER", 2)
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    Image.new("RGB", (40, 60), "red").save(pictures / "b.png")
    (pictures / "c.png").write_bytes(b"no picture")
    items = [CatalogItem(item_id=i, title=f"T {i}") for i in ("../a", "b", "c")]
    names = write_covers(out, items, pictures, tmp_path / "kept")
    assert names == ["covers/0/0.svg", "covers/0/1.webp", "covers/1/2.svg"]
    assert (out / names[1]).read_bytes()[8:12] == b"WEBP"
    assert "T c" in (out / names[2]).read_text("utf-8")
    assert {path.name for path in out.rglob("*") if path.is_file()} == {"0.svg", "1.webp", "2.svg"}
