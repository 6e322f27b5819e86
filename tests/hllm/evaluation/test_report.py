import numpy as np
import pytest

from hllm.evaluation.report import comparison_report, markdown_table


def test_comparison_of_a_model_with_the_others():
    ranks = {"a": np.array([1.0, 2, 30, 4]), "b": np.array([30.0, 2, 30, 30])}
    report = comparison_report(ranks, "a")
    assert report["b"]["recall@10"]["difference"]["value"] == pytest.approx(0.5)
    assert report["b"]["recall@10"]["ratio"]["value"] == pytest.approx(3)


def test_table_is_aligned():
    table = markdown_table(["model", "x"], [["a", "1.00"], ["longer", "10.00"]])
    assert table.splitlines() == [
        "| model  |     x |",
        "| ------ | ----: |",
        "| a      |  1.00 |",
        "| longer | 10.00 |",
    ]
