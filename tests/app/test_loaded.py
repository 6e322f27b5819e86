"""What is loaded is bounded for all catalogues together, and nobody is cut off."""

import threading

import pytest

from app import loaded
from app.columns import Column
from app.errors import CatalogError
from app.loaded import MOST_OTHERS, Installed, Loaded
from tests.waiting import wait_until

TOLD = []


@pytest.fixture
def held():
    TOLD.clear()
    return Loaded()


@pytest.fixture
def install(fake_recommender):
    def make(name, *, gate=None, problem=""):
        def load():
            if gate is not None:
                gate.wait(10)
            return fake_recommender(name, ["a", "b", "c", "d"])

        def check():
            if problem:
                raise CatalogError(problem)

        return Installed(name, lambda: Column("hllm", name.upper(), load), "", check)

    return make


def ask(held, one, owner="games"):
    return held.column(owner, one, lambda column: TOLD.append((owner, column.title)))


def state(held, one, owner="games"):
    return ask(held, one, owner).info().state


def fill(held, install, owner="games"):
    """As many as may be held, all of them loaded."""
    found = [install(f"m{number}") for number in range(MOST_OTHERS)]
    for one in found:
        wait_until(lambda one=one: state(held, one, owner) == "ready")
    return found


def test_what_was_not_asked_for_the_longest_goes_first(held, install, monkeypatch):
    first, second, *_ = fill(held, install)
    new = install("new")
    assert state(held, new) == "loading"
    assert f"{MOST_OTHERS} other models are in use" in ask(held, new).info().message
    in_use = ask(held, first)
    monkeypatch.setattr(loaded, "RESTS_S", -1)
    wait_until(lambda: state(held, new) == "ready")
    assert TOLD == [("games", second.name.upper())]
    assert in_use.ask(["a"], 3).result.items
    ask(held, install("newer"))
    ask(held, install("newest"))
    wait_until(lambda: len(TOLD) == 3)
    assert ("games", "M0") not in TOLD  # asked for after the others
    assert in_use.ask(["a"], 3).result.items  # a question that was under way is answered


def test_equal_names_of_two_catalogues_are_two_models_within_one_bound(held, install, monkeypatch):
    found = fill(held, install)
    other = install("m0")
    assert "are in use" in ask(held, other, "office").info().message
    assert state(held, found[0]) == "ready"
    monkeypatch.setattr(loaded, "RESTS_S", -1)
    wait_until(lambda: state(held, other, "office") == "ready")
    assert ask(held, other, "office") is not ask(held, found[0], "games")


def test_a_model_that_is_loading_is_not_let_go(held, install, monkeypatch):
    monkeypatch.setattr(loaded, "RESTS_S", -1)
    gate = threading.Event()
    found = [install(f"m{number}", gate=gate) for number in range(MOST_OTHERS)]
    for one in found:
        ask(held, one)
    new = install("new")
    assert "waits" in ask(held, new).info().message
    assert "warming up" in ask(held, found[0]).info().message
    gate.set()
    wait_until(lambda: all(state(held, one) == "ready" for one in found))
    wait_until(lambda: state(held, new) == "ready")


def test_what_cannot_be_loaded_is_in_nobodys_way(held, install):
    """It takes no memory: another model need not wait until nobody asks for it."""
    bad = install("bad", problem="It is of another catalogue.")
    wait_until(lambda: state(held, bad) == "failed")
    assert ask(held, bad).info().message == "It is of another catalogue."
    found = fill(held, install)
    assert TOLD == [("games", "BAD")]
    assert state(held, found[0]) == "ready"
