"""The record of an output folder: what it belongs to, what is done, what it refuses."""

import json
import os

import pytest

from app.build_record import BuildRecord
from app.errors import IngestError


@pytest.fixture
def files(tmp_path):
    paths = {name: tmp_path / f"{name}.csv" for name in ("items", "interactions")}
    for name, path in paths.items():
        path.write_text(name)
    return {role: [path] for role, path in paths.items()}


def opened(tmp_path, files, *settings):
    return BuildRecord.open(tmp_path / "run", files, ["table", *settings])


@pytest.fixture
def imported(tmp_path, files):
    record = opened(tmp_path, files)
    record.finish("import")
    (tmp_path / "run" / "catalog.db").touch()
    return record


def test_remembers_what_is_done(tmp_path, files, imported):
    imported.finish("export")
    again = opened(tmp_path, files)
    assert [again.is_done(step) for step in ("import", "export", "training")] == [True, True, False]


def test_a_step_that_is_begun_again_undoes_those_that_rest_on_it(tmp_path, files, imported):
    for step in ("export", "training"):
        imported.finish(step)
    imported.begin("export")
    again = opened(tmp_path, files)
    assert [again.is_done(step) for step in ("import", "export", "training")] == [
        True,
        False,
        False,
    ]


def test_other_contents_are_refused_and_named(tmp_path, files, imported):
    files["items"][0].write_text("others")
    with pytest.raises(IngestError, match=r"was made with other items \(items.csv\): choose anot"):
        opened(tmp_path, files)


def test_other_options_are_refused_and_named(tmp_path, files, imported):
    with pytest.raises(IngestError, match=r"made with other options \(table\): choose another"):
        opened(tmp_path, files, "--k-core", "5")


def test_the_same_contents_elsewhere_are_the_same_data(tmp_path, files, imported):
    moved = tmp_path / "moved.csv"
    os.rename(files["items"][0], moved)
    assert opened(tmp_path, files | {"items": [moved]}).is_done("import")


def test_before_anything_is_stored_a_mistake_can_be_corrected(tmp_path, files):
    opened(tmp_path, files, "--map", "titel=name")
    opened(tmp_path, files, "--map", "title=name")
    values = json.loads((tmp_path / "run" / "build.json").read_text())
    assert values["settings"] == ["table", "--map", "title=name"]


def test_a_preset_is_fixed_once_the_options_are_chosen(tmp_path, files, imported):
    preset = tmp_path / "preset.json"
    preset.write_text("{}")
    opened(tmp_path, files | {"preset": [preset]}).finish("options")
    with pytest.raises(IngestError, match=r"other preset \(preset.json\)"):
        opened(tmp_path, files)


def test_a_folder_with_something_else_is_left_alone(tmp_path, files):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "train.json").write_text("{}")
    with pytest.raises(IngestError, match=r"holds train.json of something else"):
        opened(tmp_path, files)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["train.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"settings": [], "files": {"items": [3]}}'])
def test_a_damaged_record_is_one_sentence(tmp_path, files, imported, content):
    (tmp_path / "run" / "build.json").write_text(content)
    with pytest.raises(IngestError, match=r"build\.json is damaged"):
        opened(tmp_path, files)


def test_a_missing_file_is_named(tmp_path, files):
    files["items"][0].unlink()
    with pytest.raises(IngestError, match=r"items\.csv cannot be read \(No such file"):
        opened(tmp_path, files)
    assert not (tmp_path / "run").exists()
