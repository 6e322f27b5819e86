import copy

import pytest
import torch
from transformers import LlamaConfig

from hllm.checkpoint import save_model
from hllm.config import HLLMConfig
from hllm.embed import embed_items
from hllm.model import HLLM
from hllm.store import EMBEDDINGS
from tests.hllm.byte_tokenizer import byte_tokenizer
from tests.hllm.shapes import TINY_LLM

VOCABULARY_SIZE = 259  # 256 bytes, <unk>, <s>, </s>


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Tiny models are fastest on one core, and their sums are the same on every machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer():
    """Every byte is a token; <s> in front."""
    return byte_tokenizer()


def llama(**changes):
    options = {
        **TINY_LLM,
        "vocab_size": VOCABULARY_SIZE,
        "max_position_embeddings": 128,
    }
    return LlamaConfig(**options | changes)


def make_tiny(seed=0, **changes):
    torch.manual_seed(seed)
    options = {"text_keys": ["title"], "max_text_tokens": 96, "max_history": 6}
    config = HLLMConfig(llama(), llama(num_key_value_heads=4), **options | changes)
    model = HLLM(config).eval()
    with torch.no_grad():  # spread the embeddings: at std 0.02 all items look alike
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


@pytest.fixture(scope="session")
def _tiny():
    return make_tiny()


@pytest.fixture
def tiny_model(_tiny):
    """A random HLLM: two Llamas of 2 layers, 32 dimensions. Free to be changed by the test."""
    return copy.deepcopy(_tiny)


@pytest.fixture
def make_model():
    """Make tiny HLLMs with other settings: make_model(item_pooling="mean")."""
    return make_tiny


@pytest.fixture
def token_ids(tokenizer):
    """Texts of five items, of different lengths; the last is empty."""
    texts = ["A Tale of Two Cities", "Dune", "Emma", "Les Mis\u00e9rables", ""]
    return tokenizer(texts)["input_ids"]


@pytest.fixture
def csv_pair(tmp_path):
    """A csv pair: 30 users walk in circles over 12 items, each item leading to the next."""
    rows = [
        f"i{(user + step) % 12},u{user},{step}"
        for user in range(30)
        for step in range(5 + user % 4)
    ]
    interactions = tmp_path / "interactions.csv"
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]))
    items = tmp_path / "items.csv"
    items.write_text("item_id,title\n" + "".join(f"i{n},Book {n}\n" for n in range(11)))
    return interactions, items


@pytest.fixture
def model_folder(tiny_model, tokenizer, tmp_path):
    """The folder of the tiny model."""
    save_model(tiny_model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


@pytest.fixture
def embedded_model(model_folder, tiny_model):
    """The folder of the tiny model with embeddings of 30 items, i"0 to i"29."""
    texts = [
        (f'i"{n}', tiny_model.config.item_text({"title": f"book number {n * 37 % 101}"}))
        for n in range(30)
    ]
    embed_items(model_folder, texts, model_folder / EMBEDDINGS, progress=False)
    return model_folder
