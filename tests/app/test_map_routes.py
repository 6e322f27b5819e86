import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.map_routes import map_routes, script_address


@pytest.fixture
def client(service):
    return TestClient(Starlette(routes=map_routes([service.item_map])))


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


def test_the_version_says_whose_points_are_wanted(service, tmp_path, new_service, new_items):
    other = new_service(tmp_path / "other.db", new_items(12), name="Other")
    client = TestClient(Starlette(routes=map_routes([service.item_map, other.item_map])))
    for one in (service, other):
        points, _, _ = one.item_map.open()
        assert client.get(f"/map/points?v={points.version}").content == points.data
