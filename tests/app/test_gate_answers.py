"""What every answer that leaves the gate carries, and the pictures among them."""

import json
from urllib.parse import urlsplit

import pytest
from PIL import Image

from app.cards import drawn_cover
from app.gate import policy
from app.service import Service
from tests.app.asking import POLICY, asking


@pytest.fixture(scope="module")
def covers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("covers")
    Image.new("RGB", (800, 1200), "red").save(folder / "book-000.png")
    (folder / "book-003.jpg").write_bytes(b"damaged")
    (folder / "other.png").write_bytes(b"named by no item")
    (folder / ".env").write_text("SECRET=1")
    for name in ("book-001.svg", "book-002.html"):
        (folder / name).write_text("<script>alert(1)</script>")
    return folder


@pytest.fixture(scope="module")
def service(tmp_path_factory, new_service, new_items, covers):
    made = new_service(tmp_path_factory.mktemp("gate") / "c.db", new_items(30))
    return Service(made.catalog, made.columns, covers=covers)


@pytest.fixture(scope="module")
def url(serve, service):
    return serve(service)


@pytest.fixture
def ask(url):
    """Send one request as it is and return status, headers and text."""
    return asking(url)


def test_picture_is_served_and_nothing_else_of_the_folder(ask, covers):
    code, headers, _ = ask("HEAD", "/covers?item=book-000")
    assert code == 200 and headers["Content-Type"] == "image/webp"
    assert headers["X-Content-Type-Options"] == "nosniff"
    for name in ("other", ".env", "../x", str(covers / ".env"), "", "nobody"):
        assert refused_picture(ask("GET", f"/covers?item={name}"))
    assert ask("GET", f"/gradio_api/file={covers}/book-000.png")[0] == 404
    assert ask("GET", "/covers/book-000.png")[0] == 404


@pytest.mark.parametrize("item_id", ["book-001", "book-002", "book-003", "book-004"])
def test_item_whose_picture_cannot_be_shown_gets_the_drawn_cover(ask, item_id, service):
    code, headers, text = ask("GET", f"/covers?item={item_id}")
    assert (code, headers["Content-Type"]) == (200, "image/svg+xml")
    assert headers["Cache-Control"] == "no-cache"
    assert text == drawn_cover(service.catalog.get([item_id])[item_id])


def test_picture_is_kept_by_browsers_under_its_version_only(ask, service):
    address = service.cards_of(["book-000"])[0].cover
    assert "immutable" in ask("HEAD", f"/{address}")[1]["Cache-Control"]
    assert ask("HEAD", f"/{address}0")[1]["Cache-Control"] == "no-cache"


def refused_picture(answer):
    code, _, text = answer
    return code == 404 and "no picture" in json.loads(text)["detail"]


@pytest.mark.parametrize("path", ["/", "/theme.css", "/config", "/nowhere", "/gradio_api/info"])
def test_every_answer_has_the_headers(ask, path):
    _, headers, _ = ask("GET", path)
    rules = dict(rule.partition(" ")[::2] for rule in headers[POLICY].split("; "))
    is_data = headers["Content-Type"].startswith("application/json")
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == ("'none'" if is_data else "'self'")
    assert "unsafe-inline" not in rules.get("script-src", "")
    assert is_data == ("script-src" not in rules) == ("sandbox" in rules)
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


def test_no_answer_is_for_pages_of_other_origins(ask, url):
    local = f"http://localhost:{urlsplit(url).port + 1}"  # which Gradio would let read it
    for origin in (url, local, None):
        _, headers, _ = ask("GET", "/config", **({"Origin": origin} if origin else {}))
        assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert headers["Content-Type"].startswith("application/json")
    assert set(headers[POLICY].split("; ")) == {
        "default-src 'none'", "frame-ancestors 'none'", "sandbox"
    }  # fmt: skip


def test_pictures_run_nothing_and_are_framed_by_nobody(ask):
    _, headers, _ = ask("GET", "/covers?item=book-001")
    assert headers["Content-Type"].startswith("image/")
    assert {"default-src 'none'", "frame-ancestors 'none'", "sandbox"} < set(
        headers[POLICY].split("; ")
    )


def test_policy_names_the_inline_scripts_of_a_page():
    page = b'<script>a()</script><script src="x.js"></script><script type="m">b()\n</script>'
    digests = [part for part in policy(page, "'self'").split() if part.startswith("'sha256-")]
    assert len(digests) == 2  # printf 'a()' | openssl dgst -sha256 -binary | base64
    assert digests[0].startswith("'sha256-qVpDBgj7bpq5hMAcGp3AOc79J3Y1Z4HvySTwKrWDoy4=")


def test_inline_handlers_of_hostile_markup_do_not_run(open_page, url):
    page = open_page(url)
    ran = page.evaluate(
        """async () => {
            window.ran = false;
            document.body.insertAdjacentHTML("beforeend", "<img src=x: onerror='ran = true'>");
            await new Promise((done) => setTimeout(done, 300));
            return window.ran;
        }"""
    )
    assert ran is False
    assert any("Content Security Policy" in problem for problem in open_page.problems)
    open_page.problems.clear()
