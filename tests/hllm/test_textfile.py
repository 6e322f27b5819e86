"""Lines of text files: numbered, in any encoding, packed or not; what is not text is named."""

import gzip
import io
import tarfile
import zipfile

import pytest

from hllm import textfile
from hllm.errors import DataError
from hllm.textfile import BLOCK_CHARS, Line, check_encoding, encoding_of, read_lines


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_have_numbers_and_no_ends(path, end):
    write(path, f"a{end}{end}b")
    assert list(read_lines(path)) == [Line(1, "a", ""), Line(2, "", ""), Line(3, "b", "")]


@pytest.mark.parametrize(
    ("encoding", "given"),
    [
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-32", ""),
        ("utf-16-le", "utf-16-le"),
        ("latin-1", "latin-1"),
        ("cp1252", "cp1252"),
        ("utf-16-be", "utf-16-be"),
    ],
)
def test_encodings(path, encoding, given):
    write(path, "Café,noir\nCafè,blanc\n".encode(encoding))
    assert list(read_lines(path, given)) == [Line(1, "Café,noir", ""), Line(2, "Cafè,blanc", "")]
    assert encoding_of(path, given) == encoding


def test_utf16_without_a_mark_is_named(path):
    for encoding in ("utf-16-le", "utf-16-be"):
        write(path, "item_id,title\nA1,One\n".encode(encoding))
        with pytest.raises(DataError, match=rf"items\.csv, line 1: .*--encoding {encoding}"):
            list(read_lines(path))


def test_a_line_that_is_not_in_the_encoding_costs_that_line(path):
    write(path, b"one\nTw\x80\nthree\n")
    problem = "byte 0x80 is not UTF-8: give the file's --encoding, such as latin-1"
    assert list(read_lines(path)) == [
        Line(1, "one", ""), Line(2, r"Tw\x80", problem), Line(3, "three", ""),
    ]  # fmt: skip


def test_a_line_that_is_too_long_costs_that_line(path, monkeypatch):
    monkeypatch.setattr(textfile, "MAX_LINE_CHARS", 4)
    write(path, "abc\nabcd\n" + "x" * 9 + "\nz\n")
    problem = "the line is longer than 4 characters"
    assert list(read_lines(path)) == [
        Line(1, "abc", ""), Line(2, "", problem), Line(3, "", problem), Line(4, "z", ""),
    ]  # fmt: skip


def packed(kind):
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("items.csv", "item_id,title\n")
    elif kind == "tar.gz":
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            archive.addfile(tarfile.TarInfo("items.csv"))
    return file.getvalue() or {
        "zst": b"\x28\xb5\x2f\xfd\x04\x00", "bzip2": b"BZh91AY", "xz": b"\xfd7zXZ\x00\x00",
        "SQLite": b"SQLite format 3\x00", "Parquet": b"PAR1\x15\x04",
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "zst", "bzip2", "xz", "SQLite", "Parquet"])
@pytest.mark.parametrize("read", [lambda path: list(read_lines(path)), encoding_of])
def test_what_is_no_text_is_named(path, kind, read):
    with pytest.raises(DataError, match=rf"items\.csv is an? .*{kind[:3]}.*not a text file"):
        read(write(path, packed(kind)))


def test_gzip_by_content(path):
    write(path, gzip.compress(b"item_id,title\n") + gzip.compress(b"A1,One\n"))
    assert [line.text for line in read_lines(path)] == ["item_id,title", "A1,One"]


def test_a_file_that_is_cut_off_names_its_last_good_line(path):
    # Stored, not compressed: what is there of the text can be read.
    content = gzip.compress(b"one\n" * 40_000, compresslevel=0)
    write(path, content[: len(content) // 2])
    lines = []
    with pytest.raises(DataError, match=r"is damaged after line (\d+) .*fetch it again") as caught:
        for line in read_lines(path):
            lines.append(line.text)
    assert 0 < len(lines) < 40_000 and set(lines) == {"one"}
    assert f"after line {len(lines)} " in str(caught.value)


def test_what_is_not_there_or_a_folder_is_said(tmp_path):
    for read in (lambda path: list(read_lines(path)), encoding_of):
        with pytest.raises(DataError, match=r"none\.csv: no such file; check the name"):
            read(tmp_path / "none.csv")
        with pytest.raises(DataError, match="it is a folder; give a file"):
            read(tmp_path)


def test_progress_is_told_in_bytes_on_disk(path):
    num_lines = 2 * BLOCK_CHARS // 5 + 1
    write(path, gzip.compress(b"line\n" * num_lines))
    told = []
    assert len(list(read_lines(path, tell=told.append))) == num_lines
    assert len(told) >= 3 and told == sorted(told) and told[-1] == path.stat().st_size


def test_names_of_encodings():
    assert [check_encoding(name) for name in ("", "cp1252")] == ["", "cp1252"]
    for name in ("klingon", "base64", "nul\0"):
        with pytest.raises(DataError, match="is not an encoding that Python knows: try latin-1"):
            check_encoding(name)


def test_what_is_before_a_damage_is_read(path):
    whole = gzip.compress("".join(f"line {n} of many\n" for n in range(9000)).encode())
    write(path, whole[: len(whole) // 2])
    lines = []
    with pytest.raises(DataError, match=r"is damaged after line (\d+)") as caught:
        lines.extend(read_lines(path))
    assert len(lines) > 100 and lines[-1] == Line(len(lines), f"line {len(lines) - 1} of many", "")
    assert f"after line {len(lines)} " in str(caught.value)
