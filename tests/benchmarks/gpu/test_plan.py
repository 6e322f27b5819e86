import pytest

from benchmarks.gpu.case import MODULES
from benchmarks.gpu.models import TINY_OPTIONS
from benchmarks.gpu.plan import CASES, PARTS, chosen
from hllm.train import parse_options


def test_every_case_has_a_name_of_its_own_and_something_that_measures_it():
    assert len({case.title for case in CASES}) == len(CASES)
    assert list(dict.fromkeys(case.part for case in CASES)) == list(PARTS) == list(MODULES)


def test_parts_and_single_cases_are_chosen_and_left_out():
    found = [case.title for case in chosen(["load", "click/7b-nf4"], ["load/7b"])]
    assert found == ["load/smollm2", "load/1.1b", "click/7b-nf4"]
    assert chosen([], []) == list(CASES)
    with pytest.raises(ValueError, match="'clicks': choose parts from load, click"):
        chosen([], ["clicks"])


@pytest.mark.parametrize(
    "training", [case.training for case in CASES if case.training], ids=lambda run: run.name
)
@pytest.mark.parametrize("more", ["", TINY_OPTIONS])
def test_hllm_train_knows_the_options_of_every_training(training, more):
    paths = "--items i.csv --interactions u.csv --output run"
    model, train = parse_options(f"{training.options} {more} {paths}".split())
    assert (model.item_llm, model.user_llm) == ("smollm2-135m", "smollm2-135m")
    assert model.item_adapter == "none"
    assert train.precision == "bf16"
