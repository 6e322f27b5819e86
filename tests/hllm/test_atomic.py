"""Files that are replaced: the old, the new, never a mixture, and nothing left behind."""

import errno
import os
import shutil
import subprocess
import threading
from itertools import count

import pytest

import hllm.atomic
from hllm.atomic import (
    atomic_files,
    atomic_folder,
    atomic_path,
    atomic_text,
    locked,
    storage_errors,
)
from hllm.errors import StorageError

DIED = 77


def dying(real, points, number):
    def call(*args, **options):
        if next(points) == number:
            os._exit(DIED)
        return real(*args, **options)

    return call


def dies_at(number, work):
    """Do work in a process that dies before its number-th fsync, rename or unlink."""
    child = os.fork()
    if child == 0:
        points = count()
        for name in ("fsync", "replace", "rename", "unlink"):
            setattr(os, name, dying(getattr(os, name), points, number))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED


def write(path, text):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def write_model(folder, name, config="same"):
    with atomic_files(folder, opened_by="config.json") as temporary:
        (temporary / "weights").write_text(name)
        (temporary / "config.json").write_text(config)
        (temporary / "tokenizer").write_text(config)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_leaves_the_old_file_or_the_new_and_the_next_write_cleans_up(tmp_path):
    seen = []
    for number in count():
        path = tmp_path / str(number) / "file"
        write(path, "old")
        if not dies_at(number, lambda path=path: write(path, "new")):
            break
        seen.append(path.read_text())
        write(path, "next")
        assert list(path.parent.iterdir()) == [path]
    assert seen == sorted(seen, reverse=True)
    assert set(seen) == {"old", "new"}


def test_what_sqlite_keeps_beside_a_killed_one_s_file_goes_with_it(tmp_path):
    for ending in ("", "-wal", "-shm"):
        (tmp_path / f".file.abc.partial{ending}").write_text("half a database")
    write(tmp_path / "file", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_another_process_is_writing_is_no_leftover(tmp_path):
    path = tmp_path / "file"
    with atomic_path(path) as first:
        first.write_text("first")
        write(path, "second")
        assert first.exists()
    assert path.read_text() == "first"


@pytest.mark.parametrize(("config", "allowed"), [("same", {"old"}), ("other", {"old", None})])
def test_a_kill_never_leaves_a_mixture_that_opens(tmp_path, config, allowed):
    seen = []
    for number in count():
        folder = tmp_path / str(number)
        write_model(folder, "old")
        if not dies_at(number, lambda folder=folder: write_model(folder, "new", config)):
            break
        opens = (folder / "config.json").exists()
        read = {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}
        seen.append(read["weights"] if opens else None)
        if opens:
            expected = config if read["weights"] == "new" else "same"
            assert read["config.json"] == read["tokenizer"] == expected
        write_model(folder, "next")
        assert {p.name for p in folder.iterdir()} == {"weights", "config.json", "tokenizer"}
    assert set(seen) == allowed | {"new"}


def write_folder(folder, text):
    with atomic_folder(folder) as temporary:
        (temporary / "one").write_text(text)
        (temporary / "two").write_text(text)


def test_a_new_folder_appears_whole_or_not_at_all_and_the_next_one_cleans_up(tmp_path):
    for number in count():
        folder = tmp_path / str(number) / "model"
        died = dies_at(number, lambda folder=folder: write_folder(folder, "first"))
        if not folder.exists():
            write_folder(folder, "second")
        assert [path.name for path in folder.parent.iterdir()] == ["model"]
        assert len({path.read_text() for path in folder.iterdir()}) == 1
        if not died:
            break
    assert number > 4
    with pytest.raises(OSError, match="not empty"):
        write_folder(folder, "third")
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_one_at_a_time_holds_a_folder(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "new"):
            order.append("second")

    thread = threading.Thread(target=second, daemon=True)
    with locked(tmp_path / "new"):
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_other_files_of_a_folder_stay(tmp_path):
    (tmp_path / "log.jsonl").write_text("kept")
    write_model(tmp_path, "new")
    assert (tmp_path / "log.jsonl").read_text() == "kept"


def test_packed_text_is_the_same_for_the_same_text(tmp_path):
    for name in ("a", "b"):
        with atomic_text(tmp_path / name / "x.csv.gz") as file:
            file.write("é\r\n")
    assert (tmp_path / "a" / "x.csv.gz").read_bytes() == (tmp_path / "b" / "x.csv.gz").read_bytes()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_the_old_file_stands(tmp_path, monkeypatch, code):
    path = tmp_path / "file"
    write(path, "old")

    def is_full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hllm.atomic.os, "fsync", is_full)
    with pytest.raises(StorageError, match=r"file cannot be written, the disk is full .*\.$"):
        write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_known_by_its_words_where_a_library_says_no_more(tmp_path):
    from tokenizers import Tokenizer, models

    with (
        pytest.raises(StorageError, match=r"the disk is full"),
        storage_errors(tmp_path),
    ):
        Tokenizer(models.WordLevel({"a": 0}, "a")).save("/dev/full")


def test_other_errors_pass_as_they_are(tmp_path):
    with pytest.raises(PermissionError), storage_errors(tmp_path):
        raise PermissionError(errno.EACCES, "no")


SMALL_DISK = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from hllm.atomic import atomic_path
from hllm.errors import StorageError
value = torch.randn(600_000)
for save in (torch.save, lambda tensor, path: save_file({"a": tensor}, path)):
    try:
        with atomic_path(Path(sys.argv[1]) / "file") as temporary:
            save(value, temporary)
    except StorageError:
        print("full", len(list(Path(sys.argv[1]).iterdir())))
"""


@pytest.mark.slow
def test_what_torch_and_safetensors_say_of_a_full_disk_is_understood(tmp_path):
    """On a real file system of 1 MB, in a name space of its own."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(tmp_path)]
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*inside, *mount], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    script = f'{" ".join(mount)} && exec python -c "$1" {tmp_path}'
    printed = subprocess.run(
        [*inside, "sh", "-c", script.replace("python", os.sys.executable), "sh", SMALL_DISK],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert printed.stdout.split("\n") == ["full 0", "full 0", ""]
