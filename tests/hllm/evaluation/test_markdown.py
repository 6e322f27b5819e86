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
