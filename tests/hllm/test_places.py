"""Addresses: a folder, fsspec's file systems, and what is left where writing fails."""

import pytest

from hllm.errors import DataError
from hllm.places import Place


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])  # the last one is fsspec's
def test_what_is_written_is_listed_and_read(tmp_path, scheme):
    place = Place.of(f"{scheme}{tmp_path}/out")
    (tmp_path / "out").mkdir()
    place.child("note.json").write_json({"a": 1})
    assert place.child("note.json").read_json() == {"a": 1}
    assert [file.base_name for file in place.listed()] == ["note.json"]
    assert place.child("no.json").read_json() is None
    assert (tmp_path / "out" / "note.json").is_file()


def test_a_folder_that_is_missing_is_empty_and_made(tmp_path):
    place = Place.of(f"{tmp_path}/no/such")
    assert place.listed() == []
    place.child("note.json").write_json({})
    assert len(place.listed()) == 1


def test_a_file_that_fails_leaves_the_old_one(tmp_path):
    place = Place.of(f"{tmp_path}/x.json")
    place.write_json({"old": 1})
    with pytest.raises(KeyboardInterrupt), place.writing() as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert place.read_json() == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_leftovers_of_killed_writers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".x.json.abc.partial").write_text("half")
    (tmp_path / ".mine").write_text("")
    Place.of(str(tmp_path)).remove_partial()
    assert [path.name for path in tmp_path.iterdir()] == [".mine"]


@pytest.mark.parametrize("address", ["nosuch://bucket/items", "s3:///"])
def test_an_address_that_nobody_knows_is_one_sentence(address):
    with pytest.raises(DataError, match="cannot be opened here"):
        Place.of(address)


def test_a_file_that_is_no_json_is_one_sentence(tmp_path):
    (tmp_path / "x").write_text("[1]")
    with pytest.raises(DataError, match="does not hold an object"):
        Place.of(f"{tmp_path}/x").read_json()


def test_a_place_that_may_not_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/x cannot be read or written"):
        Place.of(f"{tmp_path}/file/x").write_json({})
