import shutil
import socket

import pytest
import torch

from app import doctor
from app.doctor import main
from app.settings import ROOT


@pytest.fixture
def tell(capsys, tmp_path):
    """Ask the doctor; gives the exit code and what it says."""

    def ask(*arguments):
        code = main(["--data-dir", str(tmp_path / "data"), *arguments])
        return code, capsys.readouterr().out

    return ask


def test_what_runs_here_is_found_well(tell):
    code, said = tell()
    assert "PROBLEM" not in said and code == 0, said
    for words in ("Python 3", "gradio 6", "is free", "GB free", "model.safetensors is whole"):
        assert words in said
    assert said.endswith("0 problems.\n")


@pytest.mark.skipif(torch.cuda.is_available(), reason="PyTorch finds the GPU")
def test_a_gpu_that_pytorch_does_not_find_is_a_problem(tell, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", tmp_path / "version")
    code, said = tell()
    assert code == 0 and "no NVIDIA GPU: everything is computed by the processor" in said
    (tmp_path / "version").touch()
    code, said = tell()
    assert code == 1 and "finds no GPU" in said and "Install PyTorch with CUDA" in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_named(tell):
    assert torch.cuda.get_device_name(0) in tell()[1]


def test_taken_port_is_a_problem_with_a_remedy(tell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = tell("--port", str(taken.getsockname()[1]))
    assert code == 1 and "choose another with --port" in said


def test_damaged_files_are_named(tell, tmp_path):
    (tmp_path / "c.db").write_bytes(b"no database" * 1000)
    model = shutil.copytree(ROOT / "assets" / "books" / "model", tmp_path / "model")
    weights = model / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 0x40
    weights.write_bytes(damaged)
    code, said = tell("--catalog", str(tmp_path / "c.db"), "--model", str(model))
    assert code == 1 and said.endswith("2 problems.\n"), said
    assert f"{tmp_path / 'c.db'} is not usable" in said and f"{weights} is damaged" in said


def test_missing_package_and_full_disk_are_said(tell, monkeypatch):
    def missing(name):
        raise doctor.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", missing)
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1 << 60)
    code, said = tell()
    assert code == 1 and "gradio is not installed" in said and "pip install -r" in said
    assert "Free some space" in said
