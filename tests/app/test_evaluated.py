"""The numbers beside a model's name are those of its own folder, or that there are none."""

import json

import pytest

from app.evaluated import NOT_EVALUATED, numbers_in, numbers_of
from app.settings import ROOT


def test_numbers_of_the_built_in_models_come_from_their_report():
    report = ROOT / "assets" / "books" / "results.json"
    values = json.loads(report.read_text("utf-8"))
    for name, model in values["models"].items():
        said = numbers_in(report, name)
        assert f"recall@10 {model['metrics']['recall@10']:.3f}" in said
        assert "test, leave-one-out, 5,000 simulated readers" in said
    assert numbers_in(report, "another") == NOT_EVALUATED


def test_a_validation_is_said_to_be_one(tmp_path):
    (tmp_path / "train.json").write_text('{"split": "leave-one-out"}')
    assert numbers_of(tmp_path) == NOT_EVALUATED
    line = {"kind": "valid", "step": 3, "ndcg@10": 0.25, "recall@10": 0.5, "seconds": 2}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    assert numbers_of(tmp_path) == ("recall@10 0.500, ndcg@10 0.250 (validation, leave-one-out)")
    results = {
        "phase": "test", "num_cases": 12345, "split": {"split": "temporal"},
        "models": {tmp_path.name: {"metrics": {"recall@10": 0.4, "ndcg@10": 0.2}}},
    }  # fmt: skip
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert numbers_of(tmp_path) == "recall@10 0.400, ndcg@10 0.200 (test, temporal, 12,345 users)"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": {"x": 3}}', "\x00"])
def test_a_damaged_report_says_nothing(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    assert numbers_in(tmp_path / "results.json", "x") == NOT_EVALUATED
    assert numbers_of(tmp_path) == NOT_EVALUATED
