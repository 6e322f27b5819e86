"""Downloads against a real server: whole, gone on with, refused, and what is left each time."""

import hashlib
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from email.utils import formatdate
from pathlib import Path

import pytest

from app.errors import DownloadError, WrongFileError
from app.get import download
from app.get.download import Downloader
from app.get.registry import Remote
from tests.app.get.file_server import Handler, serving
from tests.faults import outcomes_of
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
CONTENT = random.Random(0).randbytes(100_000)
URL, PLACE = "https://data.example/dir/a.bin", "/data.example/dir/a.bin"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
KNOWN = Remote(url=URL, size=len(CONTENT), is_exact=True, sha256=SHA256)
UNKNOWN = Remote(url=URL, size=10**6)


@pytest.fixture
def server():
    with serving({PLACE: CONTENT}) as files:
        yield files


@pytest.fixture
def fetch(server, tmp_path):
    """fetch(remote) -> the file; five attempts, without waiting."""

    def run(remote=KNOWN, waits_s=(0, 0, 0, 0)):
        downloader = Downloader(tmp_path / "library", server.url, waits_s=waits_s)
        try:
            downloader.fetch(remote, tmp_path / "out" / "a.bin")
        finally:
            downloader.close()
        return (tmp_path / "out" / "a.bin").read_bytes()

    return run


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("remote", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_comes_whole_once(server, fetch, tmp_path, remote, lengths):
    server.lengths = lengths
    assert fetch(remote) == CONTENT
    assert left(tmp_path) == ["a.bin"]
    assert fetch(remote) == CONTENT
    assert server.asked == [(PLACE, None)]


def test_a_connection_that_drops_is_gone_on_with(server, fetch):
    server.drops[PLACE] = [30_000, 20_000, 0, 25_000]
    assert fetch() == CONTENT
    assert [asked for _, asked in server.asked] == [
        None, "bytes=30000-", "bytes=50000-", "bytes=50000-", "bytes=75000-",
    ]  # fmt: skip
    assert server.sent == len(CONTENT)


def test_a_server_that_is_busy_is_asked_again(server, fetch):
    server.statuses[PLACE] = [503, 429]
    assert fetch() == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize("wanted", ["7", "date", "soon", "-3", ""])
def test_a_server_that_says_how_long_is_left_alone_as_long(server, fetch, monkeypatch, wanted):
    slept = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    if wanted == "date":
        wanted = formatdate(time.time() + 60, usegmt=True)
    server.statuses[PLACE] = [429]
    server.headers["retry-after"] = wanted
    assert fetch(waits_s=(1, 1)) == CONTENT
    (waited,) = slept
    assert waited == (7 if wanted == "7" else 1) or (wanted.endswith("GMT") and 50 < waited <= 60)


def test_nobody_waits_an_hour(server, fetch):
    server.statuses[PLACE] = [429]
    server.headers["retry-after"] = "3600"
    with pytest.raises(DownloadError, match=r"HTTP 429 and asks to come again in 60 minutes"):
        fetch()


def test_what_comes_packed_is_refused(server, fetch, tmp_path):
    server.headers["content-encoding"] = "gzip"
    with pytest.raises(DownloadError, match=r"comes packed \(gzip\)"):
        fetch()
    assert "a.bin" not in left(tmp_path)


def test_a_certificate_that_is_not_trusted_is_one_sentence(tmp_path):
    made = tmp_path / "made.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made, "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    made.write_text(made.read_text() + (tmp_path / "cert.pem").read_text())
    with serving({PLACE: CONTENT}, made) as server:
        downloader = Downloader(tmp_path / "library", server.url, waits_s=())
        with pytest.raises(DownloadError, match=r"not trusted here \(self.signed.*SSL_CERT_FILE"):
            downloader.fetch(KNOWN, tmp_path / "out" / "a.bin")
        downloader.close()
    assert server.asked == []


def test_a_proxy_that_wants_a_password_is_one_sentence(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Handler, "do_CONNECT", lambda self: self.send_error(407), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    downloader = Downloader(tmp_path / "library", waits_s=())
    with pytest.raises(DownloadError, match=r"does not let .* through \(407 .*HTTPS_PROXY"):
        downloader.fetch(KNOWN, tmp_path / "out" / "a.bin")
    downloader.close()


def test_what_came_is_kept_when_nothing_more_comes_and_the_next_command_goes_on(
    server, fetch, tmp_path
):
    server.drops[PLACE] = [60_000, 0, 0, 0, 0, 0]
    with pytest.raises(
        DownloadError, match=r"cannot be read .*0\.1 MB of it are kept.*same command"
    ):
        fetch()
    assert left(tmp_path) == [".a.bin.download", ".a.bin.download.json"]
    server.drops.clear()
    assert fetch() == CONTENT
    assert server.sent == len(CONTENT)


def test_no_server_at_all_is_one_sentence(fetch, server, tmp_path):
    server.url = "http://127.0.0.1:9"
    with pytest.raises(DownloadError, match="check the connection"):
        fetch()


def test_a_server_without_ranges_begins_again(server, fetch):
    server.ranges = False
    server.drops[PLACE] = [30_000]
    assert fetch(UNKNOWN) == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=30000-"]


@pytest.mark.parametrize("etags", [False, "weak"])
def test_without_a_name_for_the_version_only_a_known_checksum_lets_it_go_on(server, fetch, etags):
    server.etags = etags
    server.drops[PLACE] = [30_000]
    assert fetch(UNKNOWN) == CONTENT
    assert [asked for _, asked in server.asked] == [None, None]


def test_with_a_known_checksum_it_goes_on_without_a_version(server, fetch):
    server.etags = False
    server.drops[PLACE] = [30_000]
    assert fetch(KNOWN) == CONTENT
    assert server.sent == len(CONTENT)


@pytest.mark.parametrize("size", [100_000, 40_000, 20_000])
def test_a_file_that_changed_between_attempts_is_never_mixed(server, fetch, size):
    server.drops[PLACE] = [30_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="kept"):
        fetch(UNKNOWN)
    server.drops.clear()
    server.contents[PLACE] = random.Random(1).randbytes(size)
    assert fetch(UNKNOWN) == server.contents[PLACE]


def test_a_server_that_mixes_versions_itself_is_found(server, fetch, monkeypatch):
    """It ignores If-Range and sends a part of the new version."""
    server.drops[PLACE] = [30_000, 0, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="kept"):
        fetch(UNKNOWN)
    server.drops.clear()
    server.contents[PLACE] = random.Random(1).randbytes(90_000)
    before = Handler.do_GET

    def deaf(self):
        del self.headers["if-range"]
        before(self)

    monkeypatch.setattr(Handler, "do_GET", deaf)
    assert fetch(UNKNOWN) == server.contents[PLACE]
    assert [asked for _, asked in server.asked[-2:]] == ["bytes=30000-", None]


@pytest.mark.parametrize(
    ("remote", "sentence"),
    [
        (Remote(url=URL, size=10**6, sha256="0" * 64), "not the file that the registry describes"),
        (Remote(url=URL, size=99_999, is_exact=True), "has 100,000 bytes, and the registry says"),
        (Remote(url=URL, size=10**9), "something else came"),
    ],
)
def test_another_file_is_deleted(server, fetch, tmp_path, remote, sentence):
    with pytest.raises(WrongFileError, match=sentence):
        fetch(remote)
    assert left(tmp_path) == []


def test_a_web_page_in_the_place_of_a_file_is_not_believed(server, fetch, tmp_path):
    server.types[PLACE] = "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match="a web page and not with the file"):
        fetch(UNKNOWN)
    assert "a.bin" not in left(tmp_path)
    del server.types[PLACE]
    fetch(UNKNOWN)  # nothing was learned from it


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_that_is_too_large_is_stopped(server, fetch, tmp_path, monkeypatch, lengths):
    """By its length, or, where none is told, when too much has come."""
    monkeypatch.setattr("app.get.registry.SLACK_BYTES", 0)
    server.lengths = lengths
    with pytest.raises(WrongFileError, match="the registry expects about"):
        fetch(Remote(url=URL, size=10_000))
    assert left(tmp_path) == []


def test_what_was_learned_is_compared_when_it_is_fetched_again(server, fetch, tmp_path, caplog):
    caplog.set_level("INFO")
    fetch(UNKNOWN)
    assert "this first one was believed and is kept" in caplog.text
    (tmp_path / "out" / "a.bin").unlink()
    server.contents[PLACE] = CONTENT[:-1] + b"?"
    with pytest.raises(WrongFileError, match="is not the file that came on"):
        fetch(UNKNOWN)


def test_redirects_are_followed_within_bounds(server, fetch):
    server.redirects[PLACE] = "/elsewhere"
    server.redirects["/elsewhere"] = f"{server.url}/file?token=1"
    server.contents["/file?token=1"] = CONTENT
    assert fetch() == CONTENT


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (PLACE, "leads on and on"),
        ("http://data.example/a", "does not begin with https"),
        ("file:///etc/passwd", "does not begin with https"),
        ("//evil.example/a", "does not begin with https"),
    ],
)
def test_bad_redirects_are_refused(server, fetch, tmp_path, target, sentence):
    server.redirects[PLACE] = target
    with pytest.raises(DownloadError, match=sentence):
        fetch()
    assert len(server.asked) <= 6 and "a.bin" not in left(tmp_path)


def test_a_file_that_is_gone_says_what_to_do(server, fetch):
    server.contents.clear()
    with pytest.raises(DownloadError, match=r"HTTP 404: .*assets/registry\.toml"):
        fetch()


def test_a_disk_without_room_is_found_before_anything_comes(server, fetch, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, download.SPARE_BYTES + 99_000))
    with pytest.raises(DownloadError, match="free some space, or choose another disk"):
        fetch()


FULL_OR_KILLED = """
import atexit, random, threading
from tqdm import tqdm
# Its own is shared with the children: one that dies would hold it for ever.
tqdm.set_lock(threading.RLock())
from app.get.download import Downloader
from app.get.registry import Remote
from tests.app.get.file_server import Handler, serving
content = random.Random(0).randbytes(20_000)
context = serving({"/data.example/a": content})
server = context.__enter__()
atexit.register(context.__exit__, None, None, None)
remote = Remote(url="https://data.example/a", size=10**6)
def before(folder): pass
def work(folder):
    downloader = Downloader(folder / "library", server.url, waits_s=())
    downloader.fetch(remote, folder / "a")
    downloader.close()
def after(folder, code):
    if (folder / "a").exists():
        assert (folder / "a").read_bytes() == content
    work(folder)
    assert (folder / "a").read_bytes() == content
    assert not list(folder.glob(".*"))
"""


@pytest.mark.parametrize("full", [False, True])
def test_a_kill_or_a_full_disk_at_any_write_leaves_what_can_be_gone_on_with(tmp_path, full):
    outcomes = outcomes_of(FULL_OR_KILLED, tmp_path, full=full)
    assert len(outcomes) > 5
    assert set(outcomes) <= ({2, 3} if full else {77})


def test_a_kill_in_the_middle_goes_on(server, tmp_path):
    """The process is killed while the file comes; the next one asks for the rest."""
    code = (
        "import sys; from pathlib import Path; from app.get.download import Downloader\n"
        "from app.get.registry import Remote\n"
        "Downloader(Path(sys.argv[1]), sys.argv[2]).fetch(\n"
        f"    Remote(url={URL!r}, size=10**6), Path(sys.argv[1]) / 'a.bin')"
    )
    gate = threading.Event()
    server.pause = lambda: gate.wait(60) if server.sent >= 50_000 else None
    command = [sys.executable, "-c", code, str(tmp_path), server.url]
    process = subprocess.Popen(command, cwd=ROOT)
    part = tmp_path / ".a.bin.download"
    try:
        wait_until(lambda: part.exists() and part.stat().st_size >= 40_000)
    finally:
        process.kill()
        process.wait()
    gate.set()
    subprocess.run(command, cwd=ROOT, check=True)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.asked[-1][1].startswith("bytes=")
