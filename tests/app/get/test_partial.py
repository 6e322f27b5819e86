"""A part of a file is found again, is one process's at a time, and is named when it is whole."""

import pytest

from app.errors import DownloadError
from app.get.partial import Partial, Version


def test_a_part_and_its_version_are_found_again(tmp_path):
    target = tmp_path / "new" / "a.gz"
    with Partial.held(target) as part:
        part.begin(Version('"x"', 6))
        part.write(b"abc")
    with Partial.held(target) as part:
        assert (part.size, part.version) == (3, Version('"x"', 6))
        part.write(b"def")
        part.finish()
    assert target.read_bytes() == b"abcdef"
    assert [path.name for path in target.parent.iterdir()] == ["a.gz"]


def test_another_version_begins_anew(tmp_path):
    with Partial.held(tmp_path / "a") as part:
        part.write(b"abc")
        part.begin(Version('"y"'))
        assert part.size == 0
        part.write(b"z")
        assert part.path.read_bytes() == b"z"


def test_two_cannot_write_one_part(tmp_path):
    with (
        Partial.held(tmp_path / "a"),
        pytest.raises(DownloadError, match="by another process"),
        Partial.held(tmp_path / "a"),
    ):
        pass


@pytest.mark.parametrize("note", ["", "{", "[]", '{"unknown": 1}', "\xff"])
def test_half_a_note_is_none(tmp_path, note):
    (tmp_path / ".a.download.json").write_bytes(note.encode("latin-1"))
    with Partial.held(tmp_path / "a") as part:
        assert part.version == Version()
        part.drop()
    assert not list(tmp_path.iterdir())
