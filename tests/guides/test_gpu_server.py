"""docs/gpu-server.md, on a CPU: the same commands with fewer steps."""

import pytest

from tests.guides.conftest import TINY_GPU_RUN, needs_smollm2
from tests.guides.pages import block, inline

PAGE = "gpu-server.md"
FEW_STEPS = {"--precision bf16": "--precision bf16 --max_steps 2 --batch_size 2 --num_negatives 4"}
pytestmark = [pytest.mark.long, needs_smollm2]


def test_from_the_set_up_to_the_page(games):
    games.types(block(PAGE, "check"), TINY_GPU_RUN)
    said = games.types(block(PAGE, "train"), FEW_STEPS)
    assert "loss" in said
    said = games.types(inline(PAGE, "python -m hllm.runs runs"))
    assert "pair" in said
    on_a_cpu = {"--precision nf4": "--precision int8", "--port 7860": f"--port {games.port}"}
    with games.serves(block(PAGE, "serve"), on_a_cpu):
        pass


def test_several_processes(games):
    launched = inline(PAGE, "torchrun --nproc_per_node=8 -m hllm.train")
    text = block(PAGE, "train").replace("python -m hllm.train", launched)
    games.types(text, FEW_STEPS | {"=8 ": "=2 ", "--item_llm ": "--shard True --item_llm "})
