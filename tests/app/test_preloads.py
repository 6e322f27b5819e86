"""The files that the page names in its first bytes are those that it loads.

``python tests/app/test_preloads.py URL``, with the address of a running ``python app.py``, writes
the list for the version of Gradio that is installed.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import gradio
import pytest

from app import preloads
from app.preloads import FILE, links_for, with_preloads

PAGE = b'<html><head><meta charset="utf-8" /><script>1</script><script src="x"></script></head>'
LINK = r'<link rel="(?:modulepreload"|preload" as="style")'
GRADIO = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"


def named(page):
    return re.findall(
        r'<link rel="(?:modulepreload|preload" as="style)" href="\./assets/([^"]+)">', page
    )


def test_what_the_page_loads_is_named_before_its_first_script():
    before, _, after = with_preloads(PAGE).decode().partition("<script>")
    assert sorted(named(before)) == sorted(json.loads(FILE.read_text())["files"])
    assert after == '1</script><script src="x"></script></head>'
    assert [name for name in named(before) if not (GRADIO / name).is_file()] == []


def test_with_another_gradio_nothing_is_named():
    assert links_for("6.0.0") == b""


def loaded_by(page):
    """What a page has loaded of Gradio's scripts and styles, in the order of asking."""
    urls = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    found = (re.search(r"/assets/([^/?]+)$", url) for url in urls)
    return list(dict.fromkeys(name[1] for name in found if name))


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_page_loads_what_is_named_and_nothing_else(
    open_page, serve, new_service, new_items, tmp_path, monkeypatch
):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    monkeypatch.setattr(preloads, "_LINKS", b"")  # or it would load what is named
    page = open_page(serve(new_service(tmp_path / "c.db", new_items(3))))
    hint = "run  python tests/app/test_preloads.py URL"
    assert sorted(loaded_by(page)) == sorted(json.loads(FILE.read_text())["files"]), hint


def write(url):
    """Write what the page of a running app loads."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = chromium.new_page()
        text = re.sub(
            r'<link rel="(?:modulepreload|preload)"[^>]*>', "", page.request.get(url).text()
        )
        page.route(url, lambda route: route.fulfill(body=text, content_type="text/html"))
        page.goto(url)
        page.wait_for_selector(".rec", state="attached")
        files = loaded_by(page)
    known = {"gradio": gradio.__version__, "files": files}
    FILE.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1].rstrip("/") + "/")
