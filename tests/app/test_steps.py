"""Steps run in this process, as the commands that they are shown as."""

import sys
from pathlib import Path

from app.steps import Step, run_step


def test_a_command_is_shown_and_run_and_its_exit_code_given(tmp_path, capsys):
    before = sys.argv
    whole = Step("check", (), ("app.ingest", "check", "--catalog", str(tmp_path / "a b.db")))
    assert run_step(whole) == 2
    assert f"$ python -m app.ingest check --catalog '{tmp_path}/a b.db'" in capsys.readouterr().out
    assert sys.argv is before


def test_work_that_is_no_command_is_done(tmp_path):
    made: Path = tmp_path / "x"
    assert run_step(Step("touch", (made,), work=made.touch)) == 0
    assert made.exists()
