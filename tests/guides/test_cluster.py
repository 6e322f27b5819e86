"""docs/cluster.md on one machine: fewer processes, a database of its own, SLURM's script unread."""

import gzip
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides.pages import block, inline, text_of
from tests.hllm.conftest import _tiny, tokenizer  # noqa: F401  fixtures
from tests.hllm.training.conftest import small, write_data  # noqa: F401  fixtures
from tests.hllm.training.runs import SMALL, argv, losses

ROOT = Path(__file__).parents[2]
PAGE = "cluster.md"


def test_bash_can_read_the_script_for_slurm(tmp_path):
    script = block(PAGE, "slurm")
    assert script.startswith("#!/bin/bash\n#SBATCH ")
    (tmp_path / "job.sh").write_text(script)
    subprocess.run(["bash", "-n", tmp_path / "job.sh"], check=True)


def test_both_launchers_start_the_same_training():
    def training(text):
        return text.replace("\\\n", " ").split("-m hllm.train", 1)[1].split()

    assert training(block(PAGE, "slurm")) == training(block(PAGE, "torchrun"))


@pytest.mark.slow
def test_the_command_for_torchrun_trains(small, tmp_path):  # noqa: F811
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = block(PAGE, "torchrun")
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


def test_a_plan_of_memory_and_throughput(reader):
    said = reader.types(block(PAGE, "plan"))
    assert "1.1b + 1.1b" in said and "7b + 7b" in said


@pytest.mark.long
def test_embedding_on_ray_and_one_file_of_it(games):
    pytest.importorskip("ray", reason="requirements-scale.txt is not installed")
    to_parquet = re.search(r"`(pandas\.read_csv.*?)`", text_of(PAGE))[1]
    games.types("cp -r runs/games runs/mine && cp data/games/items.csv . && rm runs/mine/emb*")
    games.types(f"python -c 'import pandas; {to_parquet}'")
    games.types(block(PAGE, "embed"), {"--output embedded": "--output embedded --workers 1"})
    games.types(block(PAGE, "import"))
    assert (games.folder / "runs/mine/embeddings.safetensors").is_file()
    assert "items/s" in games.types(
        inline(PAGE, "python benchmarks/bench_ray.py --workers 1 2"), {"1 2": "1 --num-items 600"}
    )


@pytest.mark.long
def test_training_under_ray(small, reader):  # noqa: F811
    pytest.importorskip("ray", reason="requirements-scale.txt is not installed")
    options = dict(a.removeprefix("--").split("=", 1) for a in argv(small, "unused", **SMALL))
    del options["output"]
    numbers = {key: json.loads(v) if v.isdigit() else v for key, v in options.items()}
    (reader.folder / "options.json").write_text(json.dumps(numbers))
    reader.types(block(PAGE, "ray-train"), {"--processes 32 --ray-address auto": "--processes 2"})
    assert len(losses(reader.folder / "runs/large")) == SMALL["max_steps"]


@pytest.mark.long
def test_replicas_of_one_database(games, postgres):
    games.environ |= {"PGHOST": "127.0.0.1", "PGPORT": str(postgres.port)}
    games.environ |= {"PGUSER": "tester", "PGPASSWORD": postgres.password}
    typed = "printf 'secret\\nsecret\\n' | createuser"  # which asks twice at a terminal
    games.types(block(PAGE, "database"), {"createuser": typed})
    games.environ |= {"PGPASSWORD": "secret"}
    here = {"db.example.org": f"127.0.0.1:{postgres.port}"}
    games.types("cp data/games.db .")
    copy, fill = block(PAGE, "fill").splitlines()
    games.types(copy, here)
    replica = here | {"--port 7860": f"--port {games.port}"}
    with games.serves(block(PAGE, "replica"), replica):
        pass
    with gzip.open(games.folder / "meta_Video_Games.json.gz", "wt") as file:
        file.write('{"asin": "B1", "title": "Another game"}\n')
    assert "1 item" in games.types(fill, here)
