"""The command line of app.get."""

import pytest

from app.get.__main__ import main


def test_list_shows_every_name_and_what_is_here(tmp_path, capsys):
    (tmp_path / "library" / "hllm-1b-books").mkdir(parents=True)
    assert main(["--list", "--data-dir", str(tmp_path)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "132 MB" in lines["amazon-games-2023"] and "by hand" in lines["pixelrec-8m"]
    assert " here " in lines["hllm-1b-books"] and " here " not in lines["hllm-7b-books"]
    assert max(map(len, lines.values())) <= 80


def test_list_shows_what_has_a_word_in_it(tmp_path, capsys):
    assert main(["--list", "Games", "qwen", "--data-dir", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert {"amazon-games-2014", "amazon-toys-2014", "qwen3-0.6b"} <= set(names)
    assert "amazon-books-2014" not in names
    assert sum(line.startswith("licence: none stated") for line in lines) == 1
    assert lines[lines.index(next(x for x in lines if "qwen3" in x)) - 1] == "licence: Apache-2.0"
    main(["--list", "amzon", "--data-dir", str(tmp_path)])
    assert capsys.readouterr().out.startswith("No name has amzon in it")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name what to get, or give --list"),
        (["amazon-game-2023"], "amazon-game-2023 is not known (did you mean amazon-games-2023"),
        (["Amazon Games 2023"], "(did you mean amazon-games-2023?): --list shows all names"),
        (["amazon_games_2023"], "(did you mean amazon-games-2023?)"),
        (["qwen"], "qwen is not known (did you mean qwen3-0.6b?)"),
        (["--lst"], "did you mean --list"),
        (["amazon-games-2023", "amazon-books-2014"], "give one data set and one HLLM at a time"),
        (["hllm-1b-books", "hllm-7b-books"], "give one data set and one HLLM at a time"),
        (["amazon-games-2014", "--splits"], "amazon-games-2014 has no published split"),
        (["hllm-1b-books", "--splits"], "no data set is named"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, capsys, arguments, sentence):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--data-dir", str(tmp_path)])
    assert stop.value.code == 2 and sentence in capsys.readouterr().err


def test_what_comes_next_is_said(data_server, tmp_path, capsys):
    arguments = ["amazon-games-2023", "--splits", "--yes", "--data-dir", str(tmp_path)]
    assert main([*arguments, "--mirror", data_server.url]) == 0
    said = capsys.readouterr().out
    assert f"python app.py --catalog amazon-games-2023 --data-dir {tmp_path}" in said
    assert "--split files --interactions" in said and "a.valid.csv" in said


def test_a_mirror_that_is_not_allowed_and_a_refusal_end_with_2(data_server, tmp_path, caplog):
    arguments = ["amazon-games-2023", "--yes", "--data-dir", str(tmp_path)]
    assert main([*arguments, "--mirror", "http://data.example"]) == 2
    assert "give an address that begins with https" in caplog.text
    assert main(["amazon-games-2023", "--data-dir", str(tmp_path)]) == 2
    assert data_server.asked == []
