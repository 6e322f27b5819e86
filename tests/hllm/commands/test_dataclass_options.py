"""Options from the fields of dataclasses: every kind of field, both spellings, truth values."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from hllm.commands.dataclass_options import add_dataclass
from hllm.shell import CommandParser


@dataclass
class Options:
    _argument_group_name: ClassVar[str] = "A group"

    needed: Path = field(metadata={"help": "where"})
    user_size: int = field(default=8, metadata={"help": "numbers a vector"})
    text_keys: list[str] = field(default_factory=lambda: ["title"], metadata={"help": "columns"})
    shard: bool = field(default=False, metadata={"help": "split the model"})
    data_split: bool = field(default=True, metadata={"help": "train on every part"})


@pytest.fixture
def parser():
    parser = CommandParser(prog="x")
    add_dataclass(parser, Options, {"data_split": "train on the end only"})
    return parser


def parsed(parser, *argv):
    return vars(parser.parse_args(["--needed", "a/b", *argv]))


def test_defaults_are_those_of_the_class(parser):
    values = parsed(parser)
    assert Options(**values) == Options(needed=Path("a/b"))
    assert isinstance(values["needed"], Path)


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--user_size", "256"], "user_size", 256),
        (["--user-size=256"], "user_size", 256),
        (["--text_keys", "title", "tags"], "text_keys", ["title", "tags"]),
        (["--shard"], "shard", True),
        (["--shard", "YES"], "shard", True),
        (["--shard", "0"], "shard", False),
        (["--data_split", "no"], "data_split", False),
        (["--no_data_split"], "data_split", False),
        (["--no-data-split"], "data_split", False),
    ],
)
def test_what_is_given(parser, argv, name, value):
    assert parsed(parser, *argv) == parsed(parser) | {name: value}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: --needed"),
        (["--needed", "a", "--user_size", "x"], "invalid int value: 'x'"),
        (["--needed", "a", "--shard", "perhaps"], "'perhaps' is neither yes nor no"),
        (["--needed", "a", "--no_shard"], "unrecognized arguments: --no_shard"),
    ],
)
def test_mistakes(parser, capsys, argv, message):
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(argv)
    assert message in capsys.readouterr().err


def test_help_has_a_group_with_every_text(parser):
    text = re.sub(r"\s+", " ", parser.format_help())
    group = text.split("A group:")[1]
    for part in ("where", "columns", "train on every part", "--no_data_split, --no-data-split"):
        assert part in group
    assert "train on the end only" in group
