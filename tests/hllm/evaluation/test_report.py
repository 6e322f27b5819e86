"""Reports: every number in its place, and nothing that JSON cannot hold."""

import json
import math

import numpy as np
import pytest

from hllm.evaluation.report import (
    comparison_report,
    format_report,
    json_ready,
    model_report,
    shortcut_report,
)


def test_comparison_of_a_model_with_the_others():
    ranks = {"a": np.array([1.0, 2, 30, 4]), "b": np.array([30.0, 2, 30, 30])}
    report = comparison_report(ranks, "a")
    assert report["b"]["recall@10"]["difference"]["value"] == pytest.approx(0.5)
    assert report["b"]["recall@10"]["ratio"]["value"] == pytest.approx(3)


def test_report_of_a_model_by_hand():
    ranks = np.array([1.0, 2, 11, math.inf])
    masks = {"first half": np.array([True, True, False, False]), "nobody": np.zeros(4, bool)}
    report = model_report(ranks, masks)
    assert report["metrics"]["recall@10"] == 0.5
    assert report["metrics"]["ndcg@10"] == pytest.approx((1 + 1 / math.log2(3)) / 4)
    half, nobody = report["slices"]["first half"], report["slices"]["nobody"]
    assert (half["num_cases"], half["recall@10"]["value"]) == (2, 1.0)
    assert nobody["num_cases"] == 0 and math.isnan(nobody["recall@10"]["value"])
    low, high = report["intervals"]["recall@10"]
    assert 0 <= low < 0.5 < high <= 1


def test_what_json_does_not_have_is_null_at_any_depth():
    value = {"a": [1.5, math.nan, {"b": math.inf}], 3: (-math.inf, "nan", None, True)}
    assert json_ready(value) == {"a": [1.5, None, {"b": None}], "3": [None, "nan", None, True]}


def test_a_model_alone_or_against_nobody_is_compared_with_nothing():
    assert comparison_report({"a": np.ones(3)}, "a") == {}
    assert comparison_report({"a": np.ones(3), "b": np.ones(0)}, "a") == {}


def test_tables_say_a_dash_where_there_is_no_number():
    ranks = {"<b>": np.array([1.0, 2.0]), "none": np.array([math.inf, math.inf])}
    masks = {"all": np.ones(2, bool), "nobody": np.zeros(2, bool)}
    report = json_ready(
        {
            "num_cases": 2,
            "phase": "test",
            "num_items": 1234,
            "models": {name: model_report(values, masks) for name, values in ranks.items()},
            "comparisons": {"<b>": comparison_report(ranks, "<b>")},
        }
    )
    text = format_report(json.loads(json.dumps(report, allow_nan=False)))
    assert text.startswith("2 users, phase test, 1,234 candidate items")
    assert "nobody" not in text
    against = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| none")][-2]
    assert [cell.strip() for cell in against] == [
        "none", "recall@10", "100.00 [100.00, 100.00]", "-",
    ]  # fmt: skip


def test_what_a_heuristic_finds_of_what_the_models_find():
    ranks = {
        "a": np.array([1.0, 10, 11, 3]),
        "graph": np.array([10.0, 11, 1, 2]),
        "none": np.full(4, math.inf),
    }
    shares = shortcut_report(ranks, "graph")
    assert list(shares) == ["a", "none"]
    assert shares["a"] == pytest.approx(2 / 3) and math.isnan(shares["none"])
