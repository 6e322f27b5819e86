"""The command that plans a training: a table for each number of GPUs."""

from hllm.commands.plan import main


def test_a_row_for_each_number_of_gpus(capsys):
    assert main(["--model", "7b", "--gpus", "1", "128"]) == 0
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("7b + 7b: 13.47 billion parameters")
    assert head.split()[0] == "GPUs"
    assert [row.split()[0] for row in rows] == ["1", "128"]
    assert "no" in rows[0].split() and "yes" in rows[1].split()


def test_nonsense_is_one_sentence(caplog):
    assert main(["--gpus", "0"]) == 2
    assert "numbers from 1 on" in caplog.text
