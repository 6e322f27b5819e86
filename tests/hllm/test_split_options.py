"""The options of a split, among others and compared."""

import pytest

from hllm.errors import DataError
from hllm.split_options import (
    DEFAULT_SPLIT,
    SplitOptions,
    check_split,
    split_differences,
    split_options,
)


def test_options_among_others():
    assert split_options({"epochs": 3, "held_out_items": None}) == DEFAULT_SPLIT
    found = split_options({"held_out_items": 0.1, "epochs": 3})
    assert found == SplitOptions(held_out_items=0.1)
    assert split_differences(found, found) == ""
    assert split_differences(DEFAULT_SPLIT, found) == "--held_out_items 0.0 against 0.1"


@pytest.mark.parametrize("options", [{"split_quantile": 0.8}, {"split_target": "random"}])
def test_an_option_that_would_change_nothing_is_refused(options):
    check_split(SplitOptions(split="temporal", **options))
    with pytest.raises(DataError, match="changes only --split temporal"):
        check_split(SplitOptions(**options))
