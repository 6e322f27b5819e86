"""The command that trains on a Ray cluster: what it refuses before Ray is started."""

import pytest

from hllm.commands.ray_train import main


def test_a_mistake_in_the_options_of_training_is_said_at_once(caplog, tmp_path):
    own = ["--items", "x.csv", "--output", str(tmp_path / "out"), "--max_history", "0"]
    argv = ["--processes", "2", "--", "--interactions", "y.csv", *own]
    assert main(argv) == 2
    assert "max_history" in caplog.text
    assert not (tmp_path / "out").exists()


def test_no_processes_are_one_sentence(caplog):
    assert main(["--processes", "0", "--", "--items", "x"]) == 2
    assert "give a number from 1 on" in caplog.text


def test_an_unknown_option_of_training_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--processes", "2", "--", "--nosuch", "1"])
    assert "python -m hllm.train: error:" in capsys.readouterr().err
