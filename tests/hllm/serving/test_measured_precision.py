"""The choice of a precision by a measurement: by time, kept, and only where there is a choice."""

import json

import pytest

from hllm.model_folder import ModelFolder
from hllm.serving import measured_precision, user_model
from hllm.serving.measured_precision import faster_precision
from hllm.serving.user_model import load_user_model


@pytest.fixture
def config(folder):
    return ModelFolder(folder).config.user_config


def kept(cache):
    (path,) = cache.glob("precision-*.json")
    return path, json.loads(path.read_text())


def test_a_shape_is_measured_once_and_the_choice_kept(config, tmp_path, monkeypatch):
    choice = faster_precision(config, ("fp32", "int8"), tmp_path)
    path, found = kept(tmp_path)
    assert found["precision"] == choice and set(found["milliseconds"]) == {"fp32", "int8"}
    assert all(0 < ms < 1000 for ms in found["milliseconds"].values())
    monkeypatch.setattr(measured_precision, "_measure", None)  # it would fail if it were called
    other = "int8" if choice == "fp32" else "fp32"
    path.write_text(json.dumps({"precision": other}))
    assert faster_precision(config, ("fp32", "int8"), tmp_path) == other


@pytest.mark.parametrize("text", ["", "[]", '{"precision": "nf4"}', '{"precision": 3}'])
def test_what_was_kept_and_cannot_be_read_is_measured_again(config, tmp_path, text):
    faster_precision(config, ("fp32", "int8"), tmp_path)
    path, _ = kept(tmp_path)
    path.write_text(text)
    assert faster_precision(config, ("fp32", "int8"), tmp_path) == kept(tmp_path)[1]["precision"]


@pytest.mark.parametrize(
    ("fp32", "int8", "int4", "expected"),
    [
        (9.0, 3.0, 2.0, "int4"),
        (9.0, 3.0, 2.9, "int8"),  # hardly faster: not worth the rounding
        (9.0, 8.9, 8.5, "fp32"),
        (2.0, 3.0, 3.0, "fp32"),
    ],
)
def test_fewer_bits_must_be_clearly_faster(
    config, tmp_path, monkeypatch, fp32, int8, int4, expected
):
    times = {"fp32": fp32, "int8": int8, "int4": int4}
    monkeypatch.setattr(measured_precision, "_measure", lambda *_: times)
    assert faster_precision(config, tuple(times), tmp_path) == expected


def test_auto_takes_what_was_measured(folder, tmp_path, monkeypatch):
    choices = ("fp32", "int8")
    monkeypatch.setattr(user_model, "precision_choices", lambda *_, **__: choices)
    for fast in choices:
        times = {choice: 1.0 if choice == fast else 9.0 for choice in choices}
        monkeypatch.setattr(measured_precision, "_measure", lambda *_, times=times: times)
        assert load_user_model(folder, cache=tmp_path / fast).precision == fast
