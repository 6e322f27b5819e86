"""The command: its help, and what it answers to mistakes."""

import re

import pytest

from hllm.train import main, parse_options
from hllm.training.options import GROUPS, OPPOSITES

FILES = ["--interactions", "i.csv", "--items", "x.csv", "--output", "o"]


@pytest.fixture
def help_text(capsys):
    with pytest.raises(SystemExit, match="0"):
        parse_options(["--help"])
    return capsys.readouterr().out


def test_help_shows_groups_in_their_order(help_text):
    titles = [f"\n{group._argument_group_name}:\n" for group in GROUPS]
    places = [help_text.find(title) for title in titles]
    assert -1 not in places
    assert places == sorted(places)


def test_help_says_something_else_of_an_option_and_its_opposite(help_text):
    entries = re.findall(r"^  --(\w+).*\n((?: {10,}.*\n)+)", help_text, re.M)
    texts = {
        name: re.sub(r"\(default: .*?\)", "", " ".join(text.split())) for name, text in entries
    }
    opposites = [name for name in texts if name.startswith("no_")]
    assert len(opposites) == len(OPPOSITES)
    for name in opposites:
        assert texts[name].strip() != texts[name.removeprefix("no_")].strip()


def test_an_option_that_does_not_exist_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        parse_options([*FILES, "--epoch_count", "3"])
    assert "error: unrecognized arguments: --epoch_count 3" in capsys.readouterr().err


def test_too_short_histories_are_one_clear_error(tmp_path, caplog):
    short = tmp_path / "short.csv"
    short.write_text("item_id,user_id,timestamp\ni1,u,1\ni2,u,2\ni3,u,3\n")
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\ni1,Emma\n")
    argv = ["--interactions", short, "--items", items, "--output", tmp_path / "run"]
    assert main([str(part) for part in argv]) == 2
    assert "four interactions" in caplog.text
