"""docs/operations.md: the app as a server, and what its operator asks."""

import base64
from importlib.util import find_spec
from urllib.request import Request, urlopen

import pytest
from gradio_client import Client

from tests.guides.pages import block, inline

PAGE = "operations.md"
OFFICE = """
printf 'item_id,title\\no1,Pen\\no2,Ink\\no3,Paper\\n' > office.csv
python -m app.ingest table --catalog office.db --items office.csv --name Office
"""


def test_the_options_that_are_variables_too(reader):
    said = reader.types(inline(PAGE, "python app.py --help"))
    assert "HLLM_CATALOG" in said and "--admin-password-file" in said
    assert inline("README.md", "python app.py --help") == inline("space.md", "python app.py --help")


def test_a_password_that_the_app_takes(reader):
    reader.types(block(PAGE, "password"))
    file = reader.folder / "admin.txt"
    assert len(file.read_text().strip()) >= 12 and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_what_visitors_saw_can_be_exported_and_plotted(games):
    games.types("cp data/games.db .")
    with games.serves("python app.py --catalog games.db --model runs/games") as url:
        client = Client(url, verbose=False)
        client.predict(["g1"], 5, api_name="/recommend")
    games.types(block(PAGE, "events"))
    assert len((games.folder / "events.csv").read_text().splitlines()) > 5
    assert "<svg" in (games.folder / "events.html").read_text()


@pytest.mark.long
def test_the_admin_page_and_metrics(reader):
    reader.types(block(PAGE, "password"))
    admin = inline(PAGE, "python app.py --admin-password-file FILE")
    with reader.serves(admin, {"FILE": "admin.txt"}) as url:
        words = f"me:{(reader.folder / 'admin.txt').read_text().strip()}".encode()
        asked = Request(f"{url}/-/admin")
        asked.add_header("Authorization", f"Basic {base64.b64encode(words).decode()}")
        assert urlopen(asked).status == 200
    with reader.serves(inline(PAGE, "python app.py --metrics"), answers="/-/metrics") as url:
        assert b"hllm_requests_total" in urlopen(f"{url}/-/metrics").read()


@pytest.mark.long
def test_several_catalogues(games):
    games.types("cp data/games.db .")
    games.types(OFFICE)
    page = "python app.py --catalog books --catalog games.db=runs/games --catalog office.db"
    assert inline("page.md", page) == block(PAGE, "several").strip()
    with games.serves(block(PAGE, "several")) as url:
        assert b"Office" in urlopen(url).read()


@pytest.mark.long
@pytest.mark.skipif(find_spec("lancedb") is None, reason="requirements-scale.txt is not installed")
def test_a_search_on_the_disk(games):
    games.types("cp data/games.db .")
    installed = {"pip install -r requirements-scale.txt -c constraints.txt\n": ""}
    assert "leave out --index, or move" in games.types(block(PAGE, "lancedb"), installed, code=2)
    games.types("rm runs/games/blend.safetensors")
    with games.serves(block(PAGE, "lancedb"), installed):
        pass
    assert list((games.folder / "runs/games").glob("*.lancedb"))
