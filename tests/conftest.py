"""Tests depend neither on the cache of whoever runs them nor on what the processor does fast."""

import itertools

import pytest

from tests.postgres import database, postgres  # noqa: F401  fixtures

NUMBERS = itertools.count()


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """For fixtures that live longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HLLM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def float32_states():
    """States in float32, which tests compare digit by digit, whatever this processor does fast.

    Tests of bfloat16 ask for it themselves.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hllm.item_states.cpu_has_fast_bfloat16", lambda: False)
        yield


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """An empty one for every test; made when something is kept in it."""
    folder = tmp_path_factory.getbasetemp() / "caches" / str(next(NUMBERS))
    monkeypatch.setenv("HLLM_CACHE", str(folder))
    return folder
