"""What models are evaluated on: candidates, and what training may know of them."""

import pytest

from hllm.evaluation.data_set import DataSet
from hllm.split_options import SplitOptions
from hllm.splits import is_held_out


@pytest.fixture
def pair(csv_pair):
    interactions, items = csv_pair
    items.write_text(items.read_text() + "new,Book 3\n")
    return interactions, items


def test_without_an_option_training_may_know_all_that_was_touched(pair):
    data = DataSet.read(*pair)
    assert (data.num_touched, data.num_trained, data.interactions.num_items) == (12, 12, 14)
    assert data.split_description == ""


def test_what_was_held_out_is_touched_and_yet_unknown(pair):
    data = DataSet.read(*pair, split=SplitOptions(held_out_items=0.3, split_seed=4))
    drawn = [is_held_out(f"i{n}", 0.3, 4) for n in range(12)]
    assert (data.num_touched, data.num_trained) == (12, 12 - sum(drawn))
    for item_id, fields in zip(data.interactions.item_ids[1:], data.fields[1:], strict=True):
        number = item_id.removeprefix("i")
        expected = {"title": f"Book {3 if item_id == 'new' else number}"}
        assert fields == (None if item_id == "i11" else expected)
