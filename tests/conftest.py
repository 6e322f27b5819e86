"""No test reads or fills the cache of whoever runs it."""

import itertools

import pytest

NUMBERS = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """For fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HLLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """An empty one for every test; made when something is kept in it."""
    folder = tmp_path_factory.getbasetemp() / "caches" / str(next(NUMBERS))
    monkeypatch.setenv("HLLM_CACHE", str(folder))
    return folder
