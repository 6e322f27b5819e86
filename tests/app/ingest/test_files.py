"""Files line by line: what cannot be parsed, what is cut off, and other encodings."""

import gzip
import json
import os

from app.catalog import Catalog
from app.ingest.__main__ import main
from app.ingest.rejects import read_rejects, rejects_path
from tests.app.ingest.imports import histories


def test_json_rejects(tmp_path, capsys):
    lines = ['{"asin": "a", "title": "Good"}', '{"asin": ', "[1]", "", '{"title": "no id"}']
    lines += ['{"asin": {"x": 1}}', '{"asin": "b", "title": "\\ud800 \\u0000 lone"}', "[" * 100_000]
    path = tmp_path / "meta.json"
    path.write_bytes("\n".join(lines).encode() + b'\n{"asin": "c", "title": "\xff\xfe"}\n')
    catalog = tmp_path / "c.db"
    assert main(["amazon2018", "--catalog", str(catalog), "--items", str(path)]) == 0
    assert [entry["line"] for entry in read_rejects(rejects_path(catalog))] == [2, 3, 5, 6, 8, 9]
    assert [item.item_id for item in Catalog.open(catalog).iter_items()] == ["a", "b"]
    assert "6 records could not be read" in capsys.readouterr().out


def test_a_file_cut_off_later_keeps_what_was_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("app.ingest.run.BATCH", {"items": 100, "interactions": 100})
    lines = [json.dumps({"asin": f"a{n}", "title": os.urandom(40).hex()}) for n in range(5_000)]
    packed = gzip.compress("\n".join(lines).encode())
    path, catalog = tmp_path / "meta.json.gz", tmp_path / "c.db"
    path.write_bytes(packed[: len(packed) * 2 // 3])
    arguments = ["amazon2018", "--catalog", str(catalog), "--items", str(path)]
    assert main(arguments) == 2
    assert "is damaged after line" in capsys.readouterr().err
    assert Catalog.open(catalog).num_items >= 3_000
    path.write_bytes(packed)
    assert main(arguments) == 0
    assert Catalog.open(catalog).num_items == 5_000


def test_ids_that_differ_in_an_accent_stay_two(run, stored, tmp_path):
    items = ("items.csv", "item_id,title\nCafé,Noir\nCafè,Blanc\nx,Plain\n".encode("latin-1"))
    pairs = "item_id,user_id,timestamp\nCafé,René,1\nCafè,Renè,2\n".encode("latin-1")
    code, said = run("hllm", items=items)
    assert code == 0 and "byte 0xe9 is not UTF-8: give the file's --encoding" in said
    assert list(stored()) == ["x"]
    code, said = run("hllm", "--encoding", "latin-1", items=items, interactions=("p.csv", pairs))
    assert code == 0 and "read as latin-1" in said
    assert set(stored()) == {"x", "Café", "Cafè"}
    assert {user for user, _, _ in histories(tmp_path)} == {"René", "Renè"}
