"""Messages name a few things and count the rest; every error of ours is caught as one."""

import inspect

import pytest

from hllm import errors
from hllm.errors import HLLMError, StorageError, shortened


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
