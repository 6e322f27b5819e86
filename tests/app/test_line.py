"""A bounded number computes at once, the others wait, and whoever has left is passed over."""

import threading

import anyio
import pytest

from app.line import MAX_WAITING, PLACES, TOO_MANY, Line
from hllm.serving.request_batching import BusyError
from tests.waiting import PATIENCE_S


async def stays():
    return False


async def leaves():
    return True


async def until(condition):
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.sleep(0.005)


def test_a_line_may_have_fewer_places():
    gate, begun = threading.Event(), []

    async def run():
        line = Line(1)
        async with anyio.create_task_group() as tasks:
            for number in range(2):
                work = lambda n=number: (begun.append(n), gate.wait(PATIENCE_S))  # noqa: E731
                tasks.start_soon(line.run, work, stays)
            await until(lambda: begun and line.num_waiting == 1)
            assert begun == [0]
            gate.set()

    anyio.run(run)
    assert begun == [0, 1]


def test_a_bounded_number_computes_and_the_others_wait_in_their_order():
    gate, begun, found, order = threading.Event(), [], [], []

    def work(number):
        begun.append(number)
        gate.wait(PATIENCE_S)
        return number

    async def main():
        line = Line()

        async def ask(number):
            async def has_left():
                order.append(number)
                return False

            found.append(await line.run(lambda: work(number), has_left))

        async with anyio.create_task_group() as tasks:
            for number in range(PLACES):
                tasks.start_soon(ask, number)
            await until(lambda: len(begun) == PLACES)
            for number in range(PLACES, PLACES + 3):
                tasks.start_soon(ask, number)
            await until(lambda: line.num_waiting == 3)
            assert len(begun) == PLACES
            gate.set()
        assert sorted(found) == list(range(PLACES + 3))
        assert order[PLACES:] == sorted(order[PLACES:])

    anyio.run(main)


def test_whoever_has_left_is_passed_over():
    async def main():
        line, begun = Line(), []
        assert await line.run(lambda: begun.append(1), leaves) is None
        assert not begun
        assert await line.run(lambda: 7, stays) == 7

    anyio.run(main)


def test_who_comes_after_too_many_hears_so_at_once():
    gate = threading.Event()

    async def main():
        line = Line()
        async with anyio.create_task_group() as tasks:
            for _ in range(PLACES + MAX_WAITING):
                tasks.start_soon(line.run, lambda: gate.wait(PATIENCE_S), stays)
            await until(lambda: line.num_waiting == MAX_WAITING)
            with pytest.raises(BusyError, match=TOO_MANY):
                await line.run(lambda: 0, stays)
            gate.set()
        assert await line.run(lambda: 7, stays) == 7

    anyio.run(main)


def test_an_error_leaves_its_place_to_others():
    async def main():
        line = Line()
        for _ in range(PLACES + 1):
            with pytest.raises(ZeroDivisionError):
                await line.run(lambda: 1 / 0, stays)

    anyio.run(main)
