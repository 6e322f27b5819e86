"""Which of Gradio's scripts and styles the page will load, named in its first bytes.

Gradio's page finds them one behind the other: each script names those that it needs, four deep, and
on a slow network each step costs a question and its answer. The list is of one version of Gradio
(`python tests/app/test_preloads.py` writes it); with any other, the page loads as Gradio's does.
"""

import json
import re
from importlib.metadata import version

from app.settings import ROOT

FILE = ROOT / "assets" / "preloads.json"
_FIRST_SCRIPT = re.compile(rb"<script", re.I)


def with_preloads(page: bytes) -> bytes:
    """Gradio's page with links that have the browser fetch everything at once."""
    return _FIRST_SCRIPT.sub(lambda script: _LINKS + script[0], page, count=1)


def links_for(gradio: str) -> bytes:
    """The links for a version of Gradio; none for one whose files are not known."""
    known = json.loads(FILE.read_text(encoding="utf-8"))
    if known["gradio"] != gradio:
        return b""
    scripts = [name for name in known["files"] if name.endswith(".js")]
    styles = [name for name in known["files"] if name.endswith(".css")]
    links = [f'<link rel="modulepreload" href="./assets/{name}">' for name in scripts]
    links += [f'<link rel="preload" as="style" href="./assets/{name}">' for name in styles]
    return "".join(links).encode()


_LINKS = links_for(version("gradio"))
