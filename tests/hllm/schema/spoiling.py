"""Changing files of a model folder, and what is said about it."""

import json

import pytest

from hllm.errors import CheckpointError


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refused(load, *arguments):
    with pytest.raises(CheckpointError) as error:
        load(*arguments)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1200
    return str(error.value)
