"""The page itself as files: HTML, styles, scripts, and the card of a Hugging Face Space."""

from __future__ import annotations

import shutil
from pathlib import Path

from rcssmin import cssmin

from app.bundle import minified
from app.render import text
from app.settings import ROOT

ASSETS = ROOT / "assets"
RUNTIME = ASSETS / "onnxruntime-web"
# Only what lies beside the page is loaded; WebAssembly is compiled, no text is run as code. Bars in
# the lists are as long as an attribute says.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
# Before anything is drawn, so that a dark page does not flash; and said where no module can run.
FIRST = """\
document.body.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
if (location.protocol === "file:")
  document.querySelector(".status").textContent =
    "A browser lets no page run from a file: start  python -m http.server  in this folder and open http://localhost:8000";
"""
START = 'startStatic(document.body, new URL(".", location.href));'
MAX_TITLE_CHARS = 80
_HTML = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>HLLM Live</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="app.css">
</head>
<body>
{shell}
<noscript>This page needs JavaScript: both models run in the browser.</noscript>
<script src="first.js"></script>
<script type="module" src="page.js"></script>
</body>
</html>
"""
_CARD = """\
---
title: {title}
sdk: static
app_file: index.html
pinned: false
---

# {title}

HLLM Live without a server: catalogue, item embeddings and the User LLM are files, and the browser
computes the recommendations. Any host of plain files serves it, in any folder.

Locally: `python -m http.server` here, then open http://localhost:8000

In `onnxruntime-web/`: ONNX Runtime Web by Microsoft, MIT licence.
"""


def write_page(folder: Path, shell: str, catalog_name: str) -> None:
    """Write everything that does not depend on items and models.

    Args:
        folder: of the page.
        shell: HTML of app.shell.
        catalog_name: for the card.
    """
    html = _HTML.format(policy=text(POLICY), shell=shell)
    script = minified(ASSETS / "page" / "static.js", START)
    title = " ".join(f"HLLM Live: {catalog_name}".split())[:MAX_TITLE_CHARS]
    # A title is a line of YAML: as JSON it is one, whatever is in it.
    files = {
        "index.html": html,
        "page.js": script,
        "app.css": cssmin((ASSETS / "app.css").read_text("utf-8")),
        "first.js": FIRST,
        ".nojekyll": "",  # GitHub Pages: serve the files as they are
        "README.md": _CARD.replace("{title}", _quoted(title), 1).replace("{title}", "HLLM Live"),
    }
    for name, contents in files.items():
        (folder / name).write_text(contents, "utf-8")
    shutil.copytree(RUNTIME, folder / "onnxruntime-web")


def _quoted(title: str) -> str:
    """A string of YAML in double quotes."""
    plain = "".join(c for c in title if c.isprintable())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
