"""Messages name a few things and count the rest; every error of ours is caught as one."""

import inspect

import pytest

from hllm import errors
from hllm.errors import HLLMError, StorageError, did_you_mean, nearest, shortened


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "none"),
        (["a"], "a"),
        (["a", "b", "c"], "a, b, c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        ((str(n) for n in range(1000)), "0, 1, 2 and 997 more"),
        ({"key": 1}, "key"),
    ],
)
def test_the_first_three_names_and_how_many_more(names, words):
    assert shortened(names) == words


def test_a_full_disk_is_an_error_of_ours_and_of_the_system():
    for caught in (HLLMError, OSError):
        with pytest.raises(caught, match="the disk is full"):
            raise StorageError("the disk is full")


def test_every_error_is_shown_without_a_traceback():
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    kinds = [kind for kind in kinds if kind.__module__ == errors.__name__]
    assert len(kinds) > 5 and all(issubclass(kind, HLLMError) for kind in kinds)


NAMES = ["amazon-games-2023", "amazon-games-2018", "qwen3-0.6b", "hllm-books", "--user_size"]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Amazon Games 2023", ["amazon-games-2023"]),
        ("amazon_games_2023 ", ["amazon-games-2023"]),
        ("amazn-games-2018", ["amazon-games-2018", "amazon-games-2023"]),
        ("qwen", ["qwen3-0.6b"]),
        ("--user-sise", ["--user_size"]),
        ("xyzzy", []),
        ("", []),
        ("a" * 10**6, []),
    ],
)
def test_a_misspelt_name_has_near_ones(name, names):
    assert nearest(name, NAMES) == names


def test_near_names_are_said_once_each():
    assert (
        did_you_mean("--sise", ["--a_size", "--size", "--size "])
        == " (did you mean --size or --a_size?)"
    )
    assert did_you_mean("b3", ["b1", "b2", "b4"]) == ""
    assert did_you_mean("book3", ["book1", "book2", "book4"]).count(" or ") == 1
    assert did_you_mean("x", []) == ""
