"""Part "embed": the built-in books through an Item LLM, in float32 and in bfloat16."""

import statistics
from functools import partial

import torch
from transformers import AutoTokenizer

from benchmarks.bench_embed import our_model
from benchmarks.gpu.books import books_pair
from benchmarks.gpu.device import memory, torch_device
from benchmarks.gpu.models import model_folder
from benchmarks.gpu.plan import Case
from benchmarks.gpu.questions import BOOKS_KEYS
from benchmarks.gpu.schedule import DONE, Record
from benchmarks.gpu.settings import Settings
from benchmarks.measure import timed
from hllm.checkpoint import load_model
from hllm.data import read_items
from hllm.embed import item_batches
from hllm.embedder import encode_all
from hllm.text import item_text, tokenize
from hllm.weights.packaged import MINILM, pretrained_folder

KEYS = [*BOOKS_KEYS, "description"]
MAX_TOKENS, TINY_TOKENS = 256, 8


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Time whole passes over the catalogue; the first one warms up."""
    items, _ = books_pair(settings)
    texts = list(dict.fromkeys(item_text(item, KEYS, "") for item in read_items(items).values()))
    max_tokens = TINY_TOKENS if settings.tiny else MAX_TOKENS
    if case.name == "minilm":
        model = our_model(MINILM, KEYS, max_tokens)
        tokenizer = AutoTokenizer.from_pretrained(pretrained_folder(MINILM), local_files_only=True)
    else:
        model, tokenizer = load_model(model_folder(settings, case.name))
        model.config.max_text_tokens = max_tokens
    model.to(torch_device(settings))
    num_tokens = sum(map(len, tokenize(tokenizer, texts, max_tokens)))
    rows = []
    for bf16 in (False, True):
        encode = partial(item_batches, model, tokenizer, bf16=bf16)
        passes = [
            timed(lambda encode=encode: encode_all(encode, texts, progress=False))[0]
            for _ in range(2 if settings.tiny else 4)
        ]
        seconds = statistics.median(passes[1:])
        rows.append(
            {
                "dtype": str(torch.bfloat16 if bf16 else torch.float32).removeprefix("torch."),
                "items": len(texts),
                "items/s": len(texts) / seconds,
                "tokens/s": num_tokens / seconds,
            }
            | memory(settings)
        )
    return Record(DONE, rows=rows)
