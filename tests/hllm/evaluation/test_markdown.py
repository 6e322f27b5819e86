"""Tables in Markdown: aligned, whatever is in them."""

import pytest

from hllm.evaluation.markdown import markdown_table


def test_table_is_aligned():
    table = markdown_table(["model", "x"], [["a", "1.00"], ["longer", "10.00"]])
    assert table.splitlines() == [
        "| model  |     x |",
        "| ------ | ----: |",
        "| a      |  1.00 |",
        "| longer | 10.00 |",
    ]


def test_a_table_without_rows_is_its_header():
    assert markdown_table(["model", "recall"], []) == "| model | recall |\n| ----- | -----: |"


@pytest.mark.parametrize("row", [["a"], ["a", "1", "2"]])
def test_a_row_of_another_length_is_refused_not_cut(row):
    with pytest.raises((ValueError, IndexError)):
        markdown_table(["model", "x"], [row])


def test_a_narrow_column_still_has_a_rule():
    assert markdown_table(["a", "s"], [["b", "2"]]).splitlines()[1] == "| -- | -: |"
