"""README.md: from the files to the page, and what can be done with what was made."""

import pytest

from tests.guides.conftest import TINY_GPU_RUN
from tests.guides.pages import block, inline


@pytest.mark.slow
def test_steps_from_the_files_to_the_page_and_what_is_measured(games):
    said = games.types(block("README.md", "evaluate"))
    for model in ("popularity", "Item-kNN", "MiniLM mean", "MiniLM last", "MiniLM decay"):
        assert model in said
    assert (games.folder / "runs/games/results.json").is_file()


@pytest.mark.long
def test_one_command_from_the_files_to_a_page(games):
    games.types("cp data/games/items.csv data/games/interactions.csv .")
    said = games.types(block("README.md", "build"))
    with games.serves(said.splitlines()[-1].strip()):
        pass


@pytest.mark.long
def test_what_is_done_with_a_trained_model(games):
    said = games.types(inline("README.md", "python -m hllm.checkpoint verify runs/games"))
    assert "whole" in said
    games.types(inline("README.md", "python -m app.ingest check --catalog data/games.db"))
    assert "games" in games.types(inline("README.md", "python -m hllm.runs runs"))
    games.types(
        inline(
            "README.md",
            "python -m hllm.recommend --model runs/games "
            "--histories data/games/interactions.csv --output top.csv",
        )
    )
    assert len((games.folder / "top.csv").read_text().splitlines()) > 120


@pytest.mark.long
def test_several_processes_train_one_model(games):
    (train,) = (
        line
        for line in block("README.md", "steps").replace("\\\n", " ").splitlines()
        if "hllm.train" in line
    )
    launched = inline("README.md", "torchrun --nproc_per_node=4 -m hllm.train")
    games.types(
        train.replace("python -m hllm.train", launched) + " --shard True",
        {"=4 ": "=2 ", "runs/games": "runs/two"},
    )
    assert (games.folder / "runs/two/embeddings.safetensors").is_file()


@pytest.mark.long
def test_all_that_was_never_run_on_a_gpu(reader):
    command = inline("README.md", "python benchmarks/on_gpu.py --minutes 25")
    assert "load" in reader.types(command, TINY_GPU_RUN)
