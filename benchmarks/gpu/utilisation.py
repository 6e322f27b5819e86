"""Part "mfu": training steps of two SmolLM2 on the built-in books, against the GPU's peak.

Model FLOPs: 2 a weight and token forward; backward as many for the gradients of activations, and as
many again for those of weights that are trained (LoRA's own are left out, as is attention). Tokens
are what is really read: each different item of a batch once with its [ITEM] token, each place of a
history without padding.
"""

import logging
import statistics

import numpy as np
import torch
from torch import nn

from benchmarks.gpu.books import books_pair
from benchmarks.gpu.device import memory, peak_flops, torch_device
from benchmarks.gpu.models import new_pair, pair_options
from benchmarks.gpu.plan import Case
from benchmarks.gpu.questions import BOOKS_KEYS, FULL, LORA
from benchmarks.gpu.schedule import DONE, Record
from benchmarks.gpu.settings import Settings
from benchmarks.measure import timed
from hllm.data import item_fields, read_interactions, read_items, training_parts
from hllm.schema.tokenizers import read_tokenizer
from hllm.text import item_text, tokenize
from hllm.training.batches import TrainBatch, make_batch
from hllm.training.item_encoder import WholeItems
from hllm.training.options import ModelOptions
from hllm.training.step import HLLMStep

logger = logging.getLogger(__name__)
FLOPS_PER_WEIGHT = {"full": 6, "lora": 4}


def measure(settings: Settings, case: Case, limit_s: float) -> Record:
    """Time steps as hllm.train takes them: forward, backward, AdamW, in bfloat16."""
    device = torch_device(settings)
    options = pair_options(settings, FULL if case.name == "full" else LORA, BOOKS_KEYS)
    model = new_pair(options).to(device).train()
    token_ids, batches = _data(settings, model.config.item_config.vocab_size, options)
    step = HLLMStep(WholeItems(model, token_ids))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    layers = _layer_weights(model.item_llm), _layer_weights(model.user_llm)

    def take(batch: TrainBatch) -> float:
        with torch.autocast(device.type, torch.bfloat16):
            loss = step(batch.to(device))[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()  # waits for the device

    take(batches[0])  # warm
    speeds, times = [], []
    for batch in batches[1:]:
        seconds, loss = timed(lambda batch=batch: take(batch))
        if not np.isfinite(loss):
            raise ValueError(f"the loss is {loss}")
        item_tokens, user_tokens = tokens_of(batch, token_ids)
        work = FLOPS_PER_WEIGHT[case.name] * (layers[0] * item_tokens + layers[1] * user_tokens)
        speeds.append(work / seconds)
        times.append(seconds)
    row = {"s a step": statistics.median(times), "TFLOP/s": statistics.median(speeds) / 1e12}
    return Record(DONE, rows=[row | _utilisation(settings, row["TFLOP/s"]) | memory(settings)])


def tokens_of(batch: TrainBatch, token_ids: list[list[int]]) -> tuple[int, int]:
    """Tokens that the Item LLM and the User LLM really read of a batch."""
    wanted = torch.cat([batch.items.flatten(), batch.negatives]).unique().tolist()
    items = sum(len(token_ids[item]) + 1 for item in wanted)
    return items, int(batch.mask.sum())


def _layer_weights(language_model: nn.Module) -> int:
    """Numbers in the matrices of the layers: word embeddings are looked up, not multiplied."""
    return sum(
        value.numel()
        for name, value in language_model.named_parameters()
        if name.startswith("layers.") and value.ndim > 1 and "lora_" not in name
    )


def _data(
    settings: Settings, vocabulary: int, options: ModelOptions
) -> tuple[list[list[int]], list[TrainBatch]]:
    """Token ids by item index, and the batches of the steps, the first to warm up."""
    items, interactions = books_pair(settings)
    data = read_interactions(interactions)
    texts = [
        item_text(fields or {}, BOOKS_KEYS, "") for fields in item_fields(data, read_items(items))
    ]
    tokenizer = read_tokenizer(options.item_folder, vocabulary)
    token_ids = tokenize(tokenizer, texts, options.max_text_tokens)
    parts = [part for part in training_parts(data) if len(part) > 1]
    size, negatives, steps = (4, 8, 2) if settings.tiny else (16, 256, 8)  # 80 GB hold it
    chosen = np.random.default_rng(1).choice(len(parts), (steps, size))
    batches = [
        make_batch(
            [parts[user][-51:] for user in users],
            np.arange(1, data.num_items),
            negatives,
            seed=[1, number],
        )
        for number, users in enumerate(chosen)
    ]
    return token_ids, batches


def _utilisation(settings: Settings, tflops: float) -> dict[str, float | str]:
    if settings.device != "cuda":
        return {}
    name = torch.cuda.get_device_name()
    peak = peak_flops(name)
    if peak is None:
        logger.warning("The peak of %s is not known: FLOP/s only", name)
        return {}
    logger.info("Assumed of %s: %.0f TFLOP/s in bfloat16, dense", name, peak / 1e12)
    return {"assumed peak TFLOP/s": peak / 1e12, "MFU": f"{tflops * 1e12 / peak:.1%}"}
