"""Two names of a closed list give two columns, wherever what is loaded is held."""

import pytest

from app.columns import Column
from app.errors import CatalogError
from app.loaded import Installed, Loaded
from app.models import Models
from hllm.errors import CheckpointError
from tests.waiting import wait_until


def installed(fake, name, *, problem=""):
    def load():
        return fake(name, ["a", "b", "c", "d"])

    def check():
        if problem:
            raise CatalogError(problem)

    return Installed(name, lambda: Column("hllm", name.upper(), load), "", check, "python -m fit")


@pytest.fixture
def held(fake_recommender):
    """Eight models, of which two are of the start and one does not fit."""
    names = [f"m{number}" for number in range(7)]
    found = [installed(fake_recommender, name) for name in names]
    found.append(installed(fake_recommender, "misfit", problem="It is of another catalogue."))
    return Models(found, ("m0", "m1"))


def ready(held, *names):
    wait_until(lambda: all(c.info().state == "ready" for c in held.columns_of(names)))


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "m2",
        [],
        ["m2"],
        ["m2", "m2"],
        ["m2", "gone"],
        ["m2", 3],
        [["m2"], {}],
        ["../m2", "m3"],
    ],
)
def test_anything_but_two_installed_names_means_the_models_of_the_start(held, raw):
    assert held.pair_of(raw) == ("m0", "m1")
    assert held.pair_of(["m3", "m2"]) == ("m3", "m2")


def test_a_chosen_model_loads_in_the_background_and_takes_its_place(held):
    left, right = held.columns_of(("m2", "m0"))
    assert (left.key, right.key) == ("hllm", "baseline")
    ready(held, "m2", "m3")
    left, right = held.columns_of(("m3", "m2"))
    assert [c.ask(["a"], 3).info.title for c in (left, right)] == ["M3", "M2"]
    # The columns of the start are as they were.
    assert [column.key for column in held.columns] == ["hllm", "baseline"]


def test_a_model_that_does_not_fit_is_listed_with_the_reason_and_never_loaded(held):
    [offer] = [offer for offer in held.offers() if offer.name == "misfit"]
    assert (offer.problem, offer.remedy) == ("It is of another catalogue.", "python -m fit")
    assert all(not o.problem and not o.remedy for o in held.offers() if o.name != "misfit")
    wait_until(lambda: held.columns_of(("misfit", "m1"))[0].info().state == "failed")
    assert held.columns_of(("misfit", "m1"))[0].info().message == offer.problem


def test_names_of_the_start_must_be_installed_and_different(fake_recommender):
    found = [installed(fake_recommender, "m0"), installed(fake_recommender, "m1")]
    with pytest.raises(CheckpointError, match=r"no model 'gone'.*m0, m1.*--models"):
        Models(found, ("m0", "gone"))
    with pytest.raises(CheckpointError, match=r"no model 'M0' .*did you mean m0\?"):
        Models(found, ("m1", "M0"))
    with pytest.raises(CheckpointError, match="choose two models"):
        Models(found, ("m0", "m0"))


def test_the_models_of_another_catalogue_load_when_they_are_asked_for(fake_recommender):
    found = [installed(fake_recommender, "m0"), installed(fake_recommender, "m1")]
    held = Models(found, ("m0", "m1"), Loaded(), stays=False)
    assert held.columns == []
    left, right = held.columns_of(held.default)
    assert (left.key, right.key) == ("hllm", "baseline")
    ready(held, "m0", "m1")
    assert [offer.name for offer in held.default_offers()] == ["m0", "m1"]


def test_what_is_let_go_is_told_to_whoever_keeps_something_of_it(fake_recommender, monkeypatch):
    found = [installed(fake_recommender, f"m{number}") for number in range(7)]
    held, told = Models(found, ("m0", "m1")), []
    held.on_let_go = lambda column: told.append(column.title)
    for pair in (("m2", "m3"), ("m4", "m5")):
        ready(held, *pair)
    monkeypatch.setattr("app.loaded.RESTS_S", -1)
    ready(held, "m6", "m5")
    assert told == ["M2"]
