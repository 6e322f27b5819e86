"""The command that plans a training: a table for each number of GPUs."""

import pytest

from hllm.commands.plan import main


def test_a_row_for_each_number_of_gpus(capsys):
    assert main(["--model", "7b", "--gpus", "1", "128"]) == 0
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("7b + 7b: 13.47 billion parameters")
    assert head.split()[0] == "GPUs"
    assert [row.split()[0] for row in rows] == ["1", "128"]
    assert "no" in rows[0].split() and "yes" in rows[1].split()


@pytest.mark.parametrize("option", ["tflops", "efficiency", "gb_per_s", "gpu_memory"])
@pytest.mark.parametrize("value", ["0", "-3", "nan", "inf", "x"])
def test_rates_and_sizes_are_positive(capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main([f"--{option}={value}"])
    assert ended.value.code == 2
    assert f"--{option}" in capsys.readouterr().err


def test_a_share_is_at_most_1(capsys):
    with pytest.raises(SystemExit):
        main(["--efficiency", "5"])
    assert "at most 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option", ["gpus", "batch_size", "num_negatives", "max_history", "text_tokens"]
)
@pytest.mark.parametrize("value", ["0", "-1", "1000000000000", "x"])
def test_numbers_are_named_that_no_training_has(capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main([f"--{option}", value])
    assert ended.value.code == 2
    assert f"argument --{option}: " in capsys.readouterr().err
