"""The options of a split, among others and compared."""

from hllm.split_options import DEFAULT_SPLIT, SplitOptions, split_differences, split_options


def test_options_among_others():
    assert split_options({"epochs": 3, "held_out_items": None}) == DEFAULT_SPLIT
    found = split_options({"held_out_items": 0.1, "epochs": 3})
    assert found == SplitOptions(held_out_items=0.1)
    assert split_differences(found, found) == ""
    assert split_differences(DEFAULT_SPLIT, found) == "--held_out_items 0.0 against 0.1"
