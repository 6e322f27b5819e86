"""The operator's password: HTTP Basic, compared in constant time, few wrong attempts a minute."""

import binascii
import hashlib
import hmac
import ipaddress
import logging
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from app.errors import RefusedError
from hllm.errors import HLLMError

LEAST_CHARS, MOST_BYTES = 12, 1024
OPTION = "--admin-password-file"
MAX_WRONG, WINDOW_S = 5, 60.0
MAX_ADDRESSES = 10_000
IPV6_PREFIX = 64  # so much of an address of IPv6 is one household's

logger = logging.getLogger(__name__)


def read_password(path: Path) -> str:
    """The password in a file: its only line.

    Raises:
        HLLMError: it cannot be read, or is no password.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        others_may_read = path.stat().st_mode & 0o077
    except OSError as error:
        raise HLLMError(f"{path} cannot be read ({error.strerror}): check {OPTION}.") from error
    try:
        password = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise HLLMError(f"{path} must be text in UTF-8: write the password anew.") from error
    if len(raw) > MOST_BYTES or not password.isprintable():
        raise HLLMError(
            f"{path} must hold one line of at most {MOST_BYTES} bytes, the password: "
            f"check {OPTION}."
        )
    if len(password) < LEAST_CHARS:
        raise HLLMError(
            f"The password in {path} must have at least {LEAST_CHARS} characters: choose a longer."
        )
    if others_may_read:
        logger.warning("Others on this machine can use %s: chmod 600 keeps it to you.", path)
    return password


class Guard:
    """Lets in whoever knows the password. To be asked in the event loop only.

    Args:
        password: of any user name.
        clock: seconds that only grow, for tests.
    """

    def __init__(self, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._digest = _digest(password.encode())
        self._clock = clock
        # Of each network: when its minute began, and how many wrong attempts came in it.
        self._wrong: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, authorization: str | None, address: str) -> None:
        """Check the Authorization header of a request.

        Args:
            authorization: the header.
            address: whose attempts count together; others are not kept waiting by them.

        Raises:
            RefusedError: 401, no or a wrong password; 429, too many wrong ones.
        """
        if authorization is None:
            raise RefusedError(401, "This page asks for the operator's password.")
        network, now = _network(address), self._clock()
        since, count = self._wrong.get(network, (now, 0))
        if now >= since + WINDOW_S:
            since, count = now, 0
        if count >= MAX_WRONG:  # not compared: an attempt that tells nothing
            raise RefusedError(429, "Too many wrong passwords: try again in a minute.")
        if hmac.compare_digest(_digest(_password_in(authorization)), self._digest):
            return
        self._wrong.pop(network, None)
        self._wrong[network] = (since, count + 1)
        if len(self._wrong) > MAX_ADDRESSES:
            self._wrong.popitem(last=False)
        logger.warning("A wrong password was tried at the admin page.")
        raise RefusedError(401, "The password is wrong.")


def _password_in(authorization: str) -> bytes:
    """The password of an Authorization header; b"" if there is none, which no password is."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return b64decode(token.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _digest(password: bytes) -> bytes:
    """Of one length, whatever the password's: comparing does not tell how long it is."""
    return hashlib.sha256(password).digest()


def _network(address: str) -> str:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ip.ipv4_mapped or ipaddress.ip_network((int(ip), IPV6_PREFIX), strict=False))
    return str(ip)
