"""By which names the app may be called, and from which pages.

A page of anybody can make a browser send requests to this app. Two checks keep it out: the Host
header must name the app (a name of the attacker's that is made to point here, *DNS rebinding*, does
not), and a request that says from which page it comes (Origin) must come from the app's own.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.errors import RefusedError
from app.settings import Settings

DEFAULT_PORTS = {"http": 80, "https": 443}
SPACE_DOMAIN = ".hf.space"
# A Space's page stands in a frame of the Hub, or is opened under its own address.
SPACE_PARENTS = ("https://huggingface.co", "https://*.huggingface.co", "https://*.hf.space")
MAX_SHOWN_CHARS = 60


@dataclass(frozen=True)
class Hosts:
    """The names of the app.

    Attributes:
        own: names that are always the app's, in lower case.
        allowed: names from the settings; pages of these may call the app, too.
        on_space: the app is a Space of the Hugging Face Hub.
    """

    own: frozenset[str]
    allowed: frozenset[str] = frozenset()
    on_space: bool = False

    @property
    def frame_ancestors(self) -> str:
        """Who may show the page in a frame, as the directive of a CSP says it."""
        return " ".join(("'self'", *(SPACE_PARENTS if self.on_space else ())))

    def check(self, host: str, origin: str | None) -> None:
        """Check the two headers of a request.

        Args:
            host: the Host header.
            origin: the Origin header, None if there is none (programs and the app's own GETs).

        Raises:
            RefusedError: 403, the name is not the app's or the page is somebody else's.
        """
        name, port = _split("//" + host)
        if not self._is_known(name):
            shown = repr(name[:MAX_SHOWN_CHARS])
            raise RefusedError(
                403,
                f"The app does not answer under the name {shown}: if it is yours, start the app "
                "with --allowed-hosts and this name.",
            )
        if origin is None:
            return
        from_name, from_port = _split(origin)
        # A proxy may talk http to the app and https to the world, so the scheme says nothing.
        if (from_name, from_port) != (name, port) and from_name not in self.allowed:
            raise RefusedError(
                403,
                "Pages of other sites cannot use this app: if the site is yours, start the app "
                "with --allowed-hosts and its name.",
            )

    def _is_known(self, name: str) -> bool:
        if name in self.own or name in self.allowed:
            return True
        if self.on_space and name.endswith(SPACE_DOMAIN):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True  # rebinding needs a name: an address always is the machine that it says


def hosts_of(settings: Settings, environ: Mapping[str, str]) -> Hosts:
    """The names of an app that is started with these settings in this environment.

    Args:
        settings: host and allowed_hosts.
        environ: GRADIO_SERVER_NAME is where Gradio listens if no host is given; the Hub sets
            SPACE_ID and SPACE_HOST (several names, with commas, if a Space has its own domain).
    """
    listen = settings.host or environ.get("GRADIO_SERVER_NAME", "")
    space = [name.strip() for name in environ.get("SPACE_HOST", "").split(",")]
    own = {"localhost", listen, socket.gethostname(), *space}
    return Hosts(
        own=frozenset(name.lower() for name in own if name),
        allowed=frozenset(settings.allowed_hosts),
        on_space=bool(environ.get("SPACE_ID") or environ.get("SPACE_HOST")),
    )


def _split(address: str) -> tuple[str, int | None]:
    """Name and port of an address; the port is None where it is the scheme's own."""
    try:
        parts = urlsplit(address)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        return "", None
    usual = DEFAULT_PORTS.values() if not parts.scheme else (DEFAULT_PORTS.get(parts.scheme),)
    return name.removesuffix("."), None if port in usual else port
