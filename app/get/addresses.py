"""Which addresses are asked: https alone, through a mirror if one was given."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from app.errors import DownloadError

MAX_REDIRECTS = 5


class Addresses:
    """Where files are really fetched from.

    Args:
        mirror: an address to which host and path of a file are appended; "": none. It may begin
            with http:// if it is on this machine.

    Raises:
        DownloadError: the mirror is no such address.
    """

    def __init__(self, mirror: str = "") -> None:
        self._mirror = mirror.rstrip("/")
        self._local: tuple[str, str] | None = None  # scheme and host of a mirror on this machine
        if not mirror:
            return
        parts = urlsplit(mirror)
        if parts.scheme == "http" and _is_this_machine(parts.hostname or ""):
            self._local = parts.scheme, parts.netloc
        elif not _is_https(parts):
            raise DownloadError(
                f"--mirror {mirror}: give an address that begins with https://, or with http:// "
                "on this machine."
            )

    @property
    def is_local(self) -> bool:
        """Whether files come from this machine."""
        return self._local is not None

    def first(self, url: str) -> str:
        """The address to ask for a file.

        Args:
            url: of the registry.
        """
        parts = urlsplit(url)
        return f"{self._mirror}/{parts.netloc}{parts.path}" if self._mirror else url

    def after(self, url: str, location: str) -> str:
        """The address that a redirect leads to.

        Args:
            url: that answered with a redirect.
            location: what it said.

        Raises:
            DownloadError: it is not https, nor the mirror on this machine.
        """
        found = urljoin(url, location)
        parts = urlsplit(found)
        if not _is_https(parts) and (parts.scheme, parts.netloc) != self._local:
            raise DownloadError(
                f"{url} leads to {found[:200]}, which does not begin with https://: refused."
            )
        return found


def _is_https(parts: SplitResult) -> bool:
    return parts.scheme == "https" and bool(parts.hostname) and not parts.username


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
