import json
import os

import pytest

from hllm.evaluation.run_records import find_runs, read_run


def write_run(folder, *, options=None, log=(), results=None):
    folder.mkdir(parents=True)
    (folder / "train.json").write_text(json.dumps(options or {"seed": 1}))
    if log:
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    if results:
        (folder / "results.json").write_text(json.dumps(results))
    return folder


LOG = [
    {"kind": "train", "step": 1, "loss": 5.0},
    {"kind": "valid", "step": 10, "recall@10": 0.2, "ndcg@10": 0.1, "mrr": 0.05, "seconds": 3.0},
    {"kind": "valid", "step": 20, "recall@10": 0.1, "ndcg@10": 0.3, "mrr": 0.06, "seconds": 7.5},
    {"kind": "valid", "step": 30, "recall@10": 0.9, "ndcg@10": 0.3, "mrr": 0.07, "seconds": 9.0},
    {"kind": "train", "step": 34, "loss": 4.0},
]


def test_the_first_of_the_best_validations_counts(tmp_path):
    run = read_run(write_run(tmp_path / "a", log=LOG))
    assert (run.problem, run.steps, run.seconds, run.best_step) == ("", 34, 9.0, 20)
    assert run.valid == {"recall@10": 0.1, "ndcg@10": 0.3, "mrr": 0.06}
    assert (run.test, run.test_users) == ({}, None)


def test_test_metrics_are_those_of_the_run_itself(tmp_path):
    other = {"metrics": {"ndcg@10": 0.9}}
    own = {"metrics": {"ndcg@10": 0.4, "recall@10": None}, "seconds": 1}
    results = {"num_cases": 7, "models": {"other": other, "a": own}}
    run = read_run(write_run(tmp_path / "a", results=results))
    assert (run.test, run.test_users) == ({"ndcg@10": 0.4}, 7)
    renamed = tmp_path / "b"
    os.rename(tmp_path / "a", renamed)
    assert read_run(renamed).test == {"ndcg@10": 0.9}  # no entry of that name: the first


def test_half_a_line_at_the_end_and_nan_are_left_out(tmp_path):
    folder = write_run(tmp_path / "a", log=[*LOG[:2], LOG[2] | {"ndcg@10": float("nan")}])
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"kind": "valid", "step": 40, "ndcg@1')
    run = read_run(folder)
    assert (run.problem, run.steps, run.best_step) == ("", 20, 10)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("train.json", "[1]", "train.json holds no object"),
        ("train.json", "{", "JSONDecodeError"),
        ("train.json", b"\xff\xfe", "UnicodeDecodeError"),
        ("log.jsonl", '{"kind": "valid"}', "KeyError: 'step'"),
        ("log.jsonl", "[]}", "JSONDecodeError"),
        ("results.json", '{"models": 3, "num_cases": 1}', "AttributeError"),
        ("results.json", '{"models": {}}', "KeyError: 'num_cases'"),
    ],
)
def test_damaged_files_are_a_problem_of_that_run(tmp_path, name, content, reason):
    folder = write_run(tmp_path / "a", log=LOG)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert reason in read_run(folder).problem


def test_runs_are_found_below_folders_and_once(tmp_path):
    write_run(tmp_path / "runs" / "b")
    write_run(tmp_path / "runs" / "a" / "inner")
    empty = tmp_path / "empty"
    empty.mkdir()
    found = find_runs([tmp_path / "runs", tmp_path / "runs" / "b", empty, tmp_path / "none"])
    assert [(run.folder.name, run.problem) for run in found] == [
        ("inner", ""),
        ("b", ""),
        ("empty", "no train.json in it or below"),
        ("none", "no such folder"),
    ]
