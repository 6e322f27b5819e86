import gzip
import hashlib
import re

from app.static_space.page import RUNTIME, write_page


def test_vendored_runtime_is_what_npm_has():
    """The checksums of the files in npm's package, one of them compressed here."""
    noted = dict(re.findall(r"`([\w.-]+)` `([0-9a-f]{64})`", (RUNTIME / "README.md").read_text()))
    found = {}
    for path in RUNTIME.iterdir():
        if path.suffix == ".gz":
            found[path.stem] = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
        elif path.suffix == ".mjs":
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert found == noted and len(found) == 3


def test_page_has_its_scripts_and_its_licences(tmp_path):
    write_page(tmp_path, "<div class=hllm></div>", 'A "name":\nof two lines')
    assert "startStatic(document.body" in (tmp_path / "page.js").read_text("utf-8")
    assert ".browse" in (tmp_path / "app.css").read_text("utf-8")
    assert "MIT" in (tmp_path / "onnxruntime-web" / "LICENSE").read_text("utf-8")
    card = (tmp_path / "README.md").read_text("utf-8")
    assert card.splitlines()[1] == 'title: "HLLM Live: A \\"name\\": of two lines"'
