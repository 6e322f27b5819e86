import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.serving.probes import not_ready
from app.settings import Settings
from tests.served import page_of, served


@pytest.fixture
def ask(tmp_path, new_service, new_items):
    """A page whose models are not loaded; gives the service and a way to ask."""
    service = new_service(tmp_path / "c.db", new_items(5), loaded=False)

    with served(page_of(service, Settings(data_dir=tmp_path))) as (_, url):

        def get(path):
            try:
                with urlopen(url + path) as answer:
                    return answer.status, json.load(answer), answer.headers
            except HTTPError as error:
                return error.code, json.load(error), error.headers

        yield service, get


def test_alive_at_once_and_ready_when_the_models_answer(ask):
    service, get = ask
    assert get("/-/health")[:2] == (200, {"status": "alive"})
    status, said, _ = get("/-/ready")
    assert status == 503 and "HLLM is warming up" in said["detail"]
    for column in service.columns:
        column.load()
    status, said, headers = get("/-/ready")
    assert (status, said) == (200, {"status": "ready"})
    assert headers["Cache-Control"] == "no-store" and len(headers["X-Request-ID"]) == 12
    service.catalog.path.unlink()
    status, said, _ = get("/-/ready")
    assert status == 503 and "cannot be read" in said["detail"]


def test_versions_name_packages_and_models(ask):
    service, get = ask
    service.columns[0].load()
    status, said, _ = get("/-/versions")
    assert status == 200 and said["gradio"] and said["python"].startswith("3.")
    assert said["models"]["hllm"] and said["models"]["baseline"] == ""


def test_model_that_failed_is_said(tmp_path, new_service, new_items):
    def fail():
        raise RuntimeError("broken")

    service = new_service(tmp_path / "c.db", new_items(5), load_hllm=fail)
    [problem] = not_ready(service)
    assert "HLLM" in problem
