import gzip
import json

import numpy as np
import pytest

from app.static_space import files
from app.static_space.files import write_json, write_numbers, write_parts


def test_json_is_compressed_and_the_same_every_time(tmp_path):
    value = {"title": "\u00c9mile </script>", "numbers": [1, 2.5, None]}
    name = write_json(tmp_path, "data/a.json.gz", value)
    first = (tmp_path / name).read_bytes()
    assert json.loads(gzip.decompress(first)) == value
    write_json(tmp_path, name, value)
    assert (tmp_path / name).read_bytes() == first


def test_nan_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path, "a.json.gz", [float("nan")])


def test_large_contents_come_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PART_BYTES", 4)
    names = write_parts(tmp_path, "data/x", b"0123456789")
    assert names == ["data/x-0.bin", "data/x-1.bin", "data/x-2.bin"]
    assert [(tmp_path / name).read_bytes() for name in names] == [b"0123", b"4567", b"89"]
    assert write_parts(tmp_path, "data/none", b"") == ["data/none-0.bin"]


def test_numbers_are_stored_as_they_are(tmp_path):
    numbers = np.array([[1.5, -2], [0, 65504]], dtype=np.float16)
    stored = write_numbers(tmp_path, "n", numbers)
    assert stored == {"files": ["n-0.bin"], "type": "float16"}
    assert (np.frombuffer((tmp_path / "n-0.bin").read_bytes(), "<f2") == numbers.ravel()).all()
