"""Fetch a file: goes on where it stopped, within the size that is expected, whole or not at all.

The one module of this project that asks other machines for anything. It is imported by the command
that somebody gives for it (python -m app.get, or a name at app.py) and by nothing else.
"""

import hashlib
import logging
import re
import shutil
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from tqdm import tqdm

from app.errors import DownloadError, WrongFileError
from app.get.addresses import MAX_REDIRECTS, Addresses
from app.get.checksums import Checksums
from app.get.partial import Partial, Version
from app.get.registry import Remote
from hllm.atomic import storage_errors

WAITS_S = (1.0, 2.0, 5.0, 15.0, 30.0)  # between attempts that bring nothing
LONGEST_WAIT_S = 120.0  # that a server may ask for; who asks for more is asked another day
SPARE_BYTES = 500 * 10**6  # to leave free on the disk
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LATER = {408, 425, 429, 500, 502, 503, 504}

logger = logging.getLogger(__name__)


class _AgainError(Exception):
    """An attempt broke off, for a reason that may pass.

    Attributes:
        wait_s: seconds that the server wants to be left alone.
    """

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class Downloader:
    """Fetches files, one after another.

    Args:
        library: folder in which checksums are kept that the registry does not know.
        mirror: see app.get.addresses.
        waits_s: seconds between attempts that bring nothing; there is one attempt more.

    Raises:
        DownloadError: the mirror's address is not allowed.
    """

    def __init__(
        self, library: Path, mirror: str = "", *, waits_s: Sequence[float] = WAITS_S
    ) -> None:
        self._addresses = Addresses(mirror)
        self._checksums = Checksums(library)
        self._waits_s = waits_s
        self._client = httpx.Client(
            timeout=httpx.Timeout(60, connect=20),
            follow_redirects=False,
            # A packed answer would have another length, and could not be gone on with.
            headers={"accept-encoding": "identity", "user-agent": "hllm-live"},
            # Proxies of the environment, but not to reach this machine.
            trust_env=not self._addresses.is_local,
        )

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def fetch(self, remote: Remote, path: Path) -> None:
        """Fetch a file, unless it is there.

        Args:
            remote: what to fetch.
            path: where to; it appears when it is complete and verified.

        Raises:
            DownloadError: it cannot be had, or is not what the registry says; a part of it is kept
                if it may be of use.
            StorageError: the disk is full.
        """
        if path.exists():
            Partial.sweep(path)
            return
        with storage_errors(path), Partial.held(path) as part:
            if path.exists():  # another process was faster
                part.drop()
                return
            try:
                self._fill(remote, part)
                trust = self._verify(remote, part)
            except WrongFileError:
                part.drop()
                raise
            part.finish()
        logger.info("%s: %.1f MB; %s.", path.name, path.stat().st_size / 1e6, trust)

    def _fill(self, remote: Remote, part: Partial) -> None:
        """Attempt after attempt, until the part is the whole."""
        if part.size and part.size == part.version.total:
            return
        failures, furthest = 0, part.size
        while True:
            try:
                self._attempt(remote, part)
                return
            except (httpx.TransportError, _AgainError) as error:
                _check_lasting(remote, error)
                reason = str(error) or type(error).__name__
                wait_s = getattr(error, "wait_s", 0.0)
            failures = failures + 1 if part.size <= furthest else 1
            furthest = max(furthest, part.size)
            if failures > len(self._waits_s):
                raise DownloadError(
                    f"{remote.url} cannot be read ({reason}). {part.size / 1e6:,.1f} MB of it are "
                    "kept: check the connection, then give the same command again."
                )
            logger.info("%s: %s; going on ...", remote.file_name, reason)
            time.sleep(max(self._waits_s[failures - 1], wait_s))

    def _attempt(self, remote: Remote, part: Partial) -> None:
        known = part.version
        # Without a validator another version could follow, which only a checksum would show.
        start = part.size if known.validator or remote.sha256 else 0
        headers = {"range": f"bytes={start}-"} if start else {}
        if start and known.validator:
            headers["if-range"] = known.validator
        with self._asked(remote.url, headers) as response:
            self._check_status(remote, response, part)
            start = self._place(response, part, start)
            length = response.headers.get("content-length")
            total = start + int(length) if length else 0
            self._check_size(remote, total)
            self._check_space(part.path.parent, (total or remote.size) - start)
            version = Version(_validator(response), total)
            if start:
                part.note(version)
            else:
                part.begin(version)
            self._receive(remote, response, part)
            if total and part.size != total:
                raise _AgainError(f"the connection ended after {part.size:,} of {total:,} bytes")

    def _receive(self, remote: Remote, response: httpx.Response, part: Partial) -> None:
        with tqdm(
            total=part.version.total or None, initial=part.size, unit="B", unit_scale=True,
            desc=remote.file_name, disable=None,
        ) as bar:  # fmt: skip
            # As it comes: larger chunks would be lost with the connection.
            for chunk in response.iter_raw():
                if part.size + len(chunk) > remote.most_bytes:
                    raise WrongFileError(_too_large(remote, part.size + len(chunk)))
                part.write(chunk)
                bar.update(len(chunk))

    def _check_status(self, remote: Remote, response: httpx.Response, part: Partial) -> None:
        status = response.status_code
        if status in (200, 206):
            if response.headers.get("content-type", "").startswith("text/html"):
                raise DownloadError(
                    f"{remote.url} answers with a web page and not with the file: open it in a "
                    "browser to see what it wants (a login of this network, a yes), then give the "
                    "same command again."
                )
            packed = response.headers.get("content-encoding", "identity")
            if packed != "identity":
                raise DownloadError(
                    f"{remote.url} comes packed ({packed[:20]}) though it was asked not to be, "
                    "which a proxy of this network may do: fetch it elsewhere, with --mirror."
                )
            return
        if status == 416:  # the file is shorter than what is here of it
            part.begin(Version())
            raise _AgainError("it has become shorter")
        if status in _LATER:
            raise _AgainError(f"HTTP {status}", _wanted_wait_s(remote, response))
        raise DownloadError(
            f"{remote.url} answers with HTTP {status}: see the page of the data set or model, and "
            "correct its address in the registry (assets/registry.toml) if it has moved."
        )

    def _place(self, response: httpx.Response, part: Partial, asked: int) -> int:
        """Where the bytes of an answer belong: behind what is there, or at the beginning."""
        if response.status_code == 200:
            return 0  # it knows no ranges, or the file has changed
        match = _RANGE.fullmatch(response.headers.get("content-range", ""))
        known, now = part.version.validator, _validator(response)
        if match and int(match[1]) == asked and (not known or not now or known == now):
            return asked
        part.begin(Version())
        raise _AgainError("another part came than was asked for, or of another version")

    def _check_size(self, remote: Remote, total: int) -> None:
        if total and remote.is_exact and total != remote.size:
            raise WrongFileError(_other_size(remote, total))
        if total > remote.most_bytes:
            raise WrongFileError(_too_large(remote, total))

    def _check_space(self, folder: Path, needed: int) -> None:
        free = shutil.disk_usage(folder).free
        if free < needed + SPARE_BYTES:
            raise DownloadError(
                f"{folder} has {free / 1e9:,.1f} GB free, and {needed / 1e9:,.1f} GB are to come: "
                "free some space, or choose another disk with --data-dir."
            )

    def _verify(self, remote: Remote, part: Partial) -> str:
        size = part.size
        if remote.is_exact and size != remote.size:
            raise WrongFileError(_other_size(remote, size))
        if size < remote.fewest_bytes:
            raise WrongFileError(
                f"{remote.url} has {size:,} bytes, and the registry expects about "
                f"{remote.size / 1e6:,.1f} MB: something else came, and nothing of it was kept. "
                "Give the same command again; if it has shrunk, correct the registry "
                "(assets/registry.toml)."
            )
        with part.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return self._checksums.compare(remote, digest, size)

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        """The answer for a file, behind a bounded number of redirects."""
        address = self._addresses.first(url)
        for _ in range(MAX_REDIRECTS + 1):
            request = self._client.build_request("GET", address, headers=headers)
            response = self._client.send(request, stream=True)
            try:
                if not response.has_redirect_location:
                    yield response
                    return
                address = self._addresses.after(address, response.headers["location"])
            finally:
                response.close()
        raise DownloadError(f"{url} leads on and on, more than {MAX_REDIRECTS} times: refused.")


def _check_lasting(remote: Remote, error: BaseException) -> None:
    """What another attempt would meet again.

    Raises:
        DownloadError: with what to do about it.
    """
    if isinstance(error, httpx.ProxyError):
        raise DownloadError(
            f"The proxy of this network does not let {remote.url} through ({error}): see its "
            "address, user and password in HTTPS_PROXY, then give the same command again."
        ) from error
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        raise DownloadError(
            f"{remote.url}: the certificate of its server is not trusted here "
            f"({cause.verify_message}). Set this machine's clock if it is wrong; where a proxy of "
            "this network stands between, give its certificate in SSL_CERT_FILE."
        ) from error


def _wanted_wait_s(remote: Remote, response: httpx.Response) -> float:
    """For how long a server wants to be left alone, by its Retry-After; 0: it does not say.

    Raises:
        DownloadError: longer than anybody would wait at a terminal.
    """
    wanted = response.headers.get("retry-after", "")
    if wanted.isdecimal():
        seconds = float(wanted)
    else:
        try:
            seconds = parsedate_to_datetime(wanted).timestamp() - time.time()
        except ValueError:
            return 0.0
    if seconds > LONGEST_WAIT_S:
        raise DownloadError(
            f"{remote.url} answers with HTTP {response.status_code} and asks to come again in "
            f"{seconds / 60:,.0f} minutes: give the same command again then."
        )
    return max(seconds, 0.0)


def _validator(response: httpx.Response) -> str:
    """What names this version of the file; weak ETags do not name every byte."""
    etag = str(response.headers.get("etag", ""))
    if etag and not etag.startswith("W/"):
        return etag
    return str(response.headers.get("last-modified", ""))


def _too_large(remote: Remote, size: int) -> str:
    return (
        f"{remote.url} has {size / 1e6:,.1f} MB or more, and the registry expects about "
        f"{remote.size / 1e6:,.1f} MB: nothing of it was kept. If it has grown, correct the "
        "registry (assets/registry.toml)."
    )


def _other_size(remote: Remote, size: int) -> str:
    return (
        f"{remote.url} has {size:,} bytes, and the registry says {remote.size:,}: nothing of it "
        "was kept. If it was changed where it is published, correct the registry "
        "(assets/registry.toml)."
    )
