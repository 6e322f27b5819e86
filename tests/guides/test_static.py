"""docs/static.md: the page as plain files."""

from urllib.request import urlopen

import pytest

from tests.guides.pages import block, inline

PAGE = "static.md"


@pytest.mark.long
def test_the_page_opens_without_a_server_of_ours(reader):
    server = {"python -m http.server": f"exec python -m http.server {reader.port}"}
    export, serve = block(PAGE, "export").splitlines()
    assert export == inline("README.md", "python -m app.export_static demo")
    assert "largest" in reader.types(export)
    with reader.serves(serve, server, answers="/", code=-15) as url:
        assert b"HLLM" in urlopen(url).read()


@pytest.mark.long
def test_data_of_ones_own(games):
    own = " --catalog data/games.db --model runs/games"
    games.types(inline(PAGE, "python -m app.export_static OUT") + own)
    assert (games.folder / "OUT/index.html").is_file()
