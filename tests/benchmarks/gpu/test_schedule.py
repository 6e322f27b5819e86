import json

import pytest

from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import (
    DONE,
    FAILED,
    STOPPED,
    WAITING,
    Record,
    path_of,
    read_record,
    run_cases,
    write_record,
)


class Machine:
    """Executes cases in no time at all, by a clock of its own."""

    def __init__(self, took, records=None):
        self.now = 1000.0
        self.took = took
        self.records = records or {}
        self.calls = []

    def clock(self):
        return self.now

    def execute(self, case, limit_s):
        self.calls.append((case.name, limit_s))
        self.now += min(self.took, limit_s)
        return self.records.get(case.name, Record(DONE, rows=[{"value": 1}]))

    def run(self, cases, folder, budget_s):
        self.calls = []
        run_cases(cases, folder, self.execute, budget_s, self.clock)
        return self.calls


def status(folder, case):
    return read_record(path_of(folder, case)).status


def test_no_case_begins_that_would_not_end_in_time(tmp_path):
    cases = [Case("load", "a", 40), Case("load", "b", 60), Case("click", "c", 30)]
    machine = Machine(took=45)
    assert machine.run(cases, tmp_path, 100) == [("a", 100), ("c", 55)]
    assert [status(tmp_path, case) for case in cases] == [DONE, WAITING, DONE]
    assert read_record(path_of(tmp_path, cases[1])).reason == "takes about 60 s, and 55 s were left"
    # The next time there is time for it, and what is done is not repeated.
    assert machine.run(cases, tmp_path, 100) == [("b", 100)]
    assert machine.run(cases, tmp_path, 100) == []


def test_a_training_gets_its_share_and_goes_on_the_next_time(tmp_path):
    cases = [Case("books", "train", 30, share_s=60), Case("click", "c", 30)]
    stopped = Record(STOPPED, "at its share", [{"steps": 5}])
    machine = Machine(took=1e9, records={"train": stopped})
    assert machine.run(cases, tmp_path, 100) == [("train", 60), ("c", 40)]
    assert machine.run(cases, tmp_path, 50) == [("train", 50)]
    # Without the time to go on, what it has reached is not forgotten.
    assert machine.run(cases, tmp_path, 10) == []
    assert read_record(path_of(tmp_path, cases[0])) == stopped


def test_after_a_failure_the_next_case_runs_and_the_next_time_it_is_tried_again(tmp_path):
    cases = [Case("load", "a", 1), Case("load", "b", 1)]
    machine = Machine(took=1, records={"a": Record(FAILED, "no memory")})
    assert [name for name, _ in machine.run(cases, tmp_path, 100)] == ["a", "b"]
    assert [name for name, _ in machine.run(cases, tmp_path, 100)] == ["a"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"status": "done", "more": 1})])
def test_a_damaged_record_counts_as_none(tmp_path, text):
    case = Case("load", "a", 1)
    write_record(path_of(tmp_path, case), Record(DONE))
    path_of(tmp_path, case).write_text(text)
    # At most four times its estimate: what hangs must not take the time of all the others.
    assert Machine(took=1).run([case], tmp_path, 100) == [("a", 4)]
    assert status(tmp_path, case) == DONE
