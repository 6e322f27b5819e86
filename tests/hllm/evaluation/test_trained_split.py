"""A model is measured by the split that it was trained with, or not at all."""

import json

import pytest

from hllm.errors import DataError
from hllm.evaluation.trained_split import agreed_split, check_trained_split, trained_split
from hllm.split_options import DEFAULT_SPLIT, SplitOptions

HOLDING = SplitOptions(held_out_items=0.1)


@pytest.fixture
def trained(tmp_path):
    """Make the folder of a run with given options."""

    def make(name, **options):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train.json").write_text(json.dumps({"epochs": 3} | options))
        return folder

    return make


def test_a_run_says_its_split_and_an_earlier_one_left_one_out(trained):
    assert trained_split(trained("a", held_out_items=0.1, split_seed=0)) == HOLDING
    assert trained_split(trained("b")) == DEFAULT_SPLIT


def test_models_are_evaluated_as_they_were_trained(trained):
    folders = [trained("a", held_out_items=0.1), trained("b", held_out_items=0.1)]
    assert agreed_split(folders, {}) == HOLDING
    assert agreed_split(folders, {"held_out_items": 0.1, "split_seed": None}) == HOLDING
    assert agreed_split([], {"held_out_items": 0.1}) == HOLDING  # baselines alone
    assert agreed_split([], {"held_out_items": None}) == DEFAULT_SPLIT


@pytest.mark.parametrize("given", [{"held_out_items": 0.2}, {"split_seed": 1}])
def test_another_split_than_the_trained_one_is_refused(trained, given):
    with pytest.raises(DataError, match=f"another split .--{next(iter(given))}"):
        agreed_split([trained("a", held_out_items=0.1)], given)


def test_models_of_two_splits_have_no_common_evaluation(trained):
    with pytest.raises(DataError, match="b was trained with another split"):
        agreed_split([trained("a", held_out_items=0.1), trained("b")], {})


def test_a_model_that_does_not_say_is_one_of_leave_one_out(tmp_path):
    assert trained_split(tmp_path) is None
    check_trained_split(tmp_path, DEFAULT_SPLIT)
    with pytest.raises(DataError, match="does not say with which split it was trained"):
        agreed_split([tmp_path], {"held_out_items": 0.1})


@pytest.mark.parametrize("content", ["[]", "{", "3"])
def test_a_damaged_record_is_said(tmp_path, content):
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(DataError, match=r"train.json cannot be read"):
        trained_split(tmp_path)
