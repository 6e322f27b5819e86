"""docs/cluster.md: the commands of a training are run, and the script for SLURM is read by bash."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hllm.conftest import _tiny, tokenizer  # noqa: F401  fixtures
from tests.hllm.training.conftest import small, write_data  # noqa: F401  fixtures
from tests.hllm.training.runs import SMALL, argv, losses

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def command(marker):
    return re.search(rf"<!-- {marker} -->\n```bash\n(.*?)```", PAGE, re.S)[1]


def test_bash_can_read_the_script_for_slurm(tmp_path):
    script = command("slurm")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    (tmp_path / "job.sh").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)


def test_both_launchers_start_the_same_training():
    def training(text):
        return text.replace("\\\n", " ").split("-m hllm.train", 1)[1].split()

    assert training(command("slurm")) == training(command("torchrun"))


@pytest.mark.slow
def test_the_command_for_torchrun_trains(small, tmp_path):  # noqa: F811
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = command("torchrun")
    for old, new in (("=4 ", "=1 "), ("=8 ", "=2 "), ("HEAD:29500", f"127.0.0.1:{port}")):
        assert old in text
        text = text.replace(old, new)
    options = dict(a.removeprefix("--").split("=", 1) for a in argv(small, "unused", **SMALL))
    del options["output"]
    numbers = {key: json.loads(v) if v.isdigit() else v for key, v in options.items()}
    (tmp_path / "options.json").write_text(json.dumps(numbers))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=tmp_path, env=os.environ | environment, check=True, timeout=600,
    )  # fmt: skip
    output = tmp_path / "runs" / "large"
    assert len(losses(output)) == SMALL["max_steps"]
    assert (output / "embeddings.safetensors").is_file()
