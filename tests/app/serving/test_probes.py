import json
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.catalog.events import events_path
from app.catalog.opening import create_catalog, open_catalog, open_event_reader
from app.columns import Column
from app.service import Service
from app.serving.probes import not_ready
from app.settings import Settings
from tests.served import page_of, served
from tests.waiting import wait_until


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


def test_what_is_wrong_is_told_in_sentences_of_their_own(ask):
    service, get = ask
    service.columns[0].fail("the first is broken")
    service.columns[1].fail("The second is broken.")
    assert get("/-/ready")[1]["detail"].endswith("the first is broken. The second is broken.")


def test_ready_though_nothing_is_recorded_and_says_so(tmp_path, new_service, new_items):
    events_path(tmp_path / "c.db").write_bytes(b"no database" * 1000)
    service = new_service(tmp_path / "c.db", new_items(5))
    wait_until(lambda: not service.events.is_recording)
    with (
        served(page_of(service, Settings(data_dir=tmp_path))) as (_, url),
        urlopen(f"{url}/-/ready") as answer,
    ):
        said = json.load(answer)
    assert said["status"] == "ready" and "not recorded" in said["detail"]
    assert str(tmp_path) not in said["detail"]


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


def test_ready_tells_the_truth_of_a_database_and_health_waits_for_none(
    postgres, database, tmp_path, new_items, fake_recommender
):
    items = new_items(5)
    with create_catalog(database) as catalog:
        catalog.add_items(items)
    names = [item.item_id for item in items]
    columns = [
        Column(key, key, lambda key=key: fake_recommender(key, names))
        for key in ("hllm", "baseline")
    ]
    for column in columns:
        column.load()
    service = Service(open_catalog(database), columns)

    def status(url, path):
        try:
            with urlopen(url + path) as answer:
                return answer.status
        except HTTPError as error:
            assert "127.0.0.1" not in error.read().decode()
            return error.code

    with served(page_of(service, Settings(data_dir=tmp_path))) as (_, url):
        assert (status(url, "/-/health"), status(url, "/-/ready")) == (200, 200)
        service.cards_of(names)
        postgres.stop()
        try:
            assert (status(url, "/-/health"), status(url, "/-/ready")) == (200, 503)
            answer = service.answer(names[:2], "a" * 32)  # with what is in memory
            assert len(answer.columns[0].result.items) == 3 and len(answer.cards) == 3
        finally:
            postgres.start()
        wait_until(lambda: status(url, "/-/ready") == 200)
        service.events.flush()
    [day] = open_event_reader(database).day_counts()
    assert (day.kind, day.count) == ("shown", 2)  # they have waited
    service.close()
