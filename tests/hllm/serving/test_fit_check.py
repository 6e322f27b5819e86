"""A check that passed is not repeated; whatever changes makes it run again."""

import os

import pytest

from hllm.serving.fit_check import check_once


@pytest.fixture
def run(tmp_path):
    """Run the check; tells whether it really ran."""
    notes, file = tmp_path / "notes", tmp_path / "weights"
    notes.mkdir()
    file.write_text("abc")

    def run(version="v1", notes=notes, error=None):
        ran = []

        def check():
            ran.append(1)
            if error:
                raise error

        check_once(check, files=[file], texts_version=version, notes=notes)
        return bool(ran)

    run.file, run.notes = file, notes
    return run


def test_runs_once_for_the_same_files_and_texts(run):
    assert [run(), run(), run("v2"), run("v2"), run()] == [True, False, True, False, False]


@pytest.mark.parametrize("change", ["content", "time"])
def test_a_changed_file_is_checked_again(run, change):
    assert run()
    if change == "content":
        run.file.write_text("abcd")
    else:
        os.utime(run.file, ns=(1, 1))
    assert run()
    assert not run()


def test_what_failed_is_checked_again(run):
    for _ in range(2):
        with pytest.raises(ValueError, match="too old"):
            run(error=ValueError("too old"))
    assert run()


def test_without_a_version_or_a_folder_it_always_runs(run, tmp_path):
    assert [run(""), run(""), run(notes=None), run(notes=None)] == [True] * 4
    gone = tmp_path / "gone"  # cannot be written
    assert [run(notes=gone), run(notes=gone)] == [True, True]
