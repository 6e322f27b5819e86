import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.map_routes import map_routes, script_address


@pytest.fixture
def client(service):
    return TestClient(Starlette(routes=map_routes(service.item_map)))


def test_the_script_has_the_library_and_ours_and_is_kept_for_ever(client):
    answer = client.get(f"/{script_address()}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert "The MIT License" in answer.text and answer.text.startswith("// regl-scatterplot")
    assert answer.text.rstrip().endswith("globalThis.hllmMap=makeMapView;})();")
    assert client.get("/map/script?v=old").headers["cache-control"] == "no-cache"


def test_points_are_there_once_the_map_is_made(client, service):
    assert client.get("/map/points?v=").status_code == 404
    points, _, _ = service.item_map.open()
    answer = client.get(f"/map/points?v={points.version}")
    assert answer.content == points.data
    assert "immutable" in answer.headers["cache-control"]
    assert client.get("/map/points?v=0000").status_code == 404
