"""Checksums are the registry's, or those of the first download."""

import json

import pytest

from app.errors import DownloadError, WrongFileError
from app.get.checksums import Checksums
from app.get.registry import Remote

A, B = "a" * 64, "b" * 64


def test_the_registrys_checksum_counts_and_is_not_learned(tmp_path):
    remote = Remote(url="https://x/y", size=1, sha256=A)
    checksums = Checksums(tmp_path)
    assert checksums.compare(remote, A, 1) == "its SHA-256 is the registry's"
    with pytest.raises(WrongFileError, match="is not the file that the registry describes"):
        checksums.compare(remote, B, 1)
    assert not checksums.path.exists()


def test_an_unknown_one_is_learned_once_said_and_then_compared(tmp_path):
    remote = Remote(url="https://x/y", size=1)
    assert "this first one was believed" in Checksums(tmp_path).compare(remote, A, 5)
    assert "its SHA-256 is that of 2" in Checksums(tmp_path).compare(remote, A, 5)
    with pytest.raises(WrongFileError, match=r"is not the file that came on 2.*checksums\.json"):
        Checksums(tmp_path).compare(remote, B, 5)
    kept = json.loads(Checksums(tmp_path).path.read_text())
    assert kept["https://x/y"]["sha256"] == A and kept["https://x/y"]["bytes"] == 5


@pytest.mark.parametrize("text", ["{", "[]", '{"https://x/y": {}}', '{"https://x/y": 1}'])
def test_a_damaged_file_of_checksums_is_not_overwritten(tmp_path, text):
    checksums = Checksums(tmp_path)
    checksums.path.write_text(text)
    with pytest.raises(DownloadError, match="is damaged"):
        checksums.compare(Remote(url="https://x/y", size=1), A, 5)
    assert checksums.path.read_text() == text
