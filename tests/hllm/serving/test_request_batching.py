"""Requests that share a call: nobody is forgotten, mixed up or served out of turn."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hllm.serving.request_batching import Batcher, BusyError
from tests.waiting import wait_until


class Gate:
    """A model that squares; holds each call until it is opened."""

    def __init__(self):
        self.open = threading.Event()
        self.batches = []

    def __call__(self, requests):
        assert self.open.wait(10)
        self.batches.append(list(requests))
        if 13 in requests:
            raise ValueError("unlucky")
        return [request**2 for request in requests]


def submit_in_order(pool, batcher, requests):
    futures = []
    for number, request in enumerate(requests):
        futures.append(pool.submit(batcher.submit, request))
        # The first is being run.
        wait_until(lambda n=number: batcher._busy and len(batcher._waiting) == n)
    return futures


def test_who_waits_is_served_together_oldest_first():
    gate = Gate()
    batcher = Batcher(gate, max_batch=4)
    with ThreadPoolExecutor(12) as pool:
        futures = submit_in_order(pool, batcher, range(10))
        gate.open.set()
        assert [future.result(10) for future in futures] == [n**2 for n in range(10)]
    assert gate.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


def test_an_error_is_only_its_own_requests():
    gate = Gate()
    batcher = Batcher(gate)
    with ThreadPoolExecutor(12) as pool:
        futures = submit_in_order(pool, batcher, [1, 12, 13, 14])
        gate.open.set()
        assert [futures[n].result(10) for n in (0, 1, 3)] == [1, 144, 196]
        with pytest.raises(ValueError, match="unlucky"):
            futures[2].result(10)
    assert batcher.submit(5) == 25


def test_who_waits_too_long_is_told_and_no_longer_computed():
    gate = Gate()
    batcher = Batcher(gate, max_wait_s=0.05)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(batcher.submit, 1)
        wait_until(lambda: batcher._busy)
        with pytest.raises(BusyError, match="Too many visitors"):
            batcher.submit(2)
        gate.open.set()
        assert first.result(10) == 1
    assert gate.batches == [[1]]


def test_many_threads_get_their_own_answers():
    def run(requests):
        time.sleep(random.random() / 1e3)
        return [("answer", request) for request in requests]

    batcher = Batcher(run, max_batch=5)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(batcher.submit, range(2_000)))
    assert answers == [("answer", n) for n in range(2_000)]


def test_stopping_the_running_thread_releases_the_others():
    def stop(requests):
        raise KeyboardInterrupt

    batcher = Batcher(stop)
    with pytest.raises(KeyboardInterrupt):
        batcher.submit(1)
    assert not batcher._busy
