"""Places are given to some at once; the others wait, and are told if that takes too long."""

import threading

import pytest

from app.places import place
from hllm.serving.request_batching import BusyError


def test_who_finds_no_place_is_told_and_a_place_that_is_left_is_free(monkeypatch):
    monkeypatch.setattr("app.places.MAX_WAIT_S", 0.01)
    places = threading.BoundedSemaphore(1)
    with pytest.raises(KeyError), place(places):
        with pytest.raises(BusyError, match="try again"), place(places):
            raise AssertionError("two in one place")
        raise KeyError
    with place(places):
        pass
