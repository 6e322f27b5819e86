"""What the page is told of the models: names, reasons, and who has answered."""

import typing

import pytest

from app.columns import Column
from app.contract_models import OfferPayload, ShownPayload
from app.errors import CatalogError
from app.models import Installed, Models
from app.models_payload import Offers, shown_payload
from app.payloads import answer_payload
from app.service import Service
from tests.waiting import wait_until

SESSION = "0123456789abcdef"


@pytest.fixture
def chosen(service, fake_recommender):
    """The service of the other tests with a third model, and a fourth that does not fit."""
    item_ids = [item.item_id for item in service.catalog.iter_items()]

    def misfit():
        raise CatalogError("Of another catalogue.")

    def column(title):
        return lambda: Column("hllm", title, lambda: fake_recommender(title, item_ids))

    found = [Installed(n, column(t), "") for n, t in (("h", "HLLM"), ("b", "Baseline"))]
    found.append(Installed("sasrec", column("SASRec"), "recall@10 0.100"))
    found.append(Installed("misfit", column("Misfit"), "not evaluated", misfit, "python -m fit"))
    models = Models(found, ("h", "b"))
    for one in models.columns:
        one.load()
    made = Service(service.catalog, models.columns, models=models, events=service.events)
    wait_until(lambda: models.columns_of(("sasrec", "b"))[0].info().state == "ready")
    return made


def ask(service, models):
    raw = {"version": 1, "history": ["book-001"], "session": SESSION, "models": models}
    return answer_payload(service.seen_with(raw), raw)


def test_an_answer_names_the_models_that_answered(chosen):
    usual, other = ask(chosen, None), ask(chosen, ["b", "sasrec"])
    assert usual["shown"].keys() == ShownPayload.__annotations__.keys()
    assert (usual["shown"]["left_title"], usual["shown"]["right_title"]) == ("HLLM", "Baseline")
    assert usual["shown"]["usual"] and usual["shown"]["counts"]
    assert (other["shown"]["left_title"], other["shown"]["right_title"]) == ("Baseline", "SASRec")
    assert not other["shown"]["usual"] and not other["shown"]["counts"]
    assert "HLLM" not in "".join(other["columns"].values())
    assert "<h2>SASRec</h2>" in other["columns"]["baseline"]
    # Nobody else sees another model for that.
    assert ask(chosen, None)["columns"] == usual["columns"]
    assert ask(chosen, ["sasrec", "../gone"])["columns"] == usual["columns"]


def test_nothing_of_another_model_is_recorded(chosen, events_of):
    ask(chosen, None)
    for models in (["sasrec", "b"], ["h", "sasrec"]):
        ask(chosen, models)
    assert [event[1] for event in events_of(chosen)] == ["hllm", "baseline"]


def test_everything_installed_is_listed(chosen, service):
    found = Offers(chosen).payload()
    assert [offer["name"] for offer in found["offers"]] == ["h", "b", "sasrec", "misfit"]
    assert all(offer.keys() == OfferPayload.__annotations__.keys() for offer in found["offers"])
    assert found["offers"][3]["problem"] == "Of another catalogue."
    assert found["offers"][3]["remedy"] == "python -m fit"
    assert typing.get_type_hints(OfferPayload)["numbers"] is str
    alone = Offers(service).payload()
    assert alone["offers"] == [] and alone["message"]


def test_a_service_without_a_choice_says_its_own_two(service):
    shown = shown_payload(service)
    assert (shown["left_title"], shown["right_title"]) == ("HLLM", "Baseline")
    assert shown["usual"] and shown["counts"]


def test_the_operator_reads_the_names_of_other_models(service, chosen):
    assert service.model_names == ("hllm", "baseline")
    assert chosen.model_names == ("hllm", "baseline")
    assert chosen.seen_with({"models": ["sasrec", "b"]}).model_names == ("sasrec", "b")
