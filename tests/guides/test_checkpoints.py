"""docs/checkpoints.md: a generated checkpoint in the layout of the published ones."""

import pytest
import torch

from tests.guides.pages import block, inline
from tests.hllm.byte_tokenizer import byte_tokenizer
from tests.hllm.published.reference_states import write_checkpoint

PAGE = "checkpoints.md"
pytestmark = pytest.mark.long


@pytest.fixture
def published(games):
    """A reader who has downloaded pytorch_model.bin and the folder of the base model."""
    write_checkpoint(games.folder, byte_tokenizer())
    games.types("mv item tinyllama")
    return games


def test_from_the_file_to_the_page(published):
    published.types(block(PAGE, "convert"))
    with published.serves(block(PAGE, "page")):
        pass
    assert "hllm-1b-books" in published.types(block(PAGE, "evaluate"))
    (published.folder / "open.py").write_text(block(PAGE, "open") + "print(type(model))")
    assert "HLLM" in published.types("python open.py")
    verify = inline(PAGE, "python -m hllm.checkpoint verify FOLDER")
    published.types(verify, {"FOLDER": "models/hllm-1b-books"})


def test_qlora_over_it_where_there_is_a_gpu(published):
    published.types(block(PAGE, "convert"), {"--preset": "--dtype nf4 --preset"})
    data = "--items data/games/items.csv --interactions data/games/interactions.csv --max_steps 2"
    command = inline(PAGE, "python -m hllm.train --item_training qlora")
    start = "--start_from models/hllm-1b-books --output runs/qlora"
    has_gpu = torch.cuda.is_available()
    said = published.types(f"{command} {start} {data}", code=0 if has_gpu else 2)
    assert has_gpu or "needs a CUDA device" in said
