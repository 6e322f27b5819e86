r"""A training step with a tuned Item LLM: unique items in tight batches, or the padded loop.

    python benchmarks/bench_train.py --items data/games/items.csv \
        --interactions data/games/interactions.csv

"unique" is what hllm.train does: every item of a batch is encoded once, in batches of similar
length. "padded" is the straightforward loop: every place of every history (padded to the longest)
and every negative is encoded, each text padded to the maximum length. Same weights, same batches:
the losses must agree. Forward, backward and one AdamW step, in turns. All-MiniLM-L6-v2 with mean
pooling as the Item LLM, fully tuned; fp32, on a GPU under bfloat16 autocast. Tokens are those of
the texts, each place of a history once, whichever way they are computed. Utilisation: 6 operations
a parameter and token that is really encoded, against a product of large matrices in the same run.
"""

import argparse
import copy
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor
from transformers import AutoTokenizer

from benchmarks.bench_embed import our_model, padded_states
from benchmarks.measure import machine_line
from hllm.data import Interactions, item_fields, read_interactions, read_items, training_parts
from hllm.model import HLLM
from hllm.text import item_text, tokenize
from hllm.training.batches import TrainBatch, make_batch
from hllm.training.item_encoder import WholeItems
from hllm.training.loss import contrastive_logits, info_nce
from hllm.training.step import HLLMStep
from hllm.weights.packaged import MINILM, pretrained_folder

TEXT_KEYS = ["title"]
MATRIX = 4096
TOLERANCE = 1e-3  # of the loss


class Contest:
    """Two copies of a model that take the same training steps in their own ways."""

    def __init__(self, model: HLLM, token_ids: list[list[int]], device: str) -> None:
        self._device = device
        self._token_ids = token_ids
        self._width = model.config.max_text_tokens
        self.models = {name: copy.deepcopy(model).to(device) for name in ("unique", "padded")}
        self._step = HLLMStep(WholeItems(self.models["unique"], token_ids))
        self._optimizers = {
            name: torch.optim.AdamW(model.parameters(), lr=1e-5)
            for name, model in self.models.items()
        }

    def loss(self, name: str, batch: TrainBatch) -> Tensor:
        """() loss of one way."""
        return self._step(batch)[0] if name == "unique" else self._padded(batch)

    def _padded(self, batch: TrainBatch) -> Tensor:
        model = self.models["padded"]
        wanted = torch.cat([batch.items.flatten(), batch.negatives])
        token_ids = [self._token_ids[item] for item in wanted.tolist()]
        embeddings = model.item_adapter(padded_states(model, token_ids, self._width))
        count = batch.items.numel()
        items = embeddings[:count].view(*batch.items.shape, -1)
        states = model.encode_users(items[:, :-1]).last_hidden_state
        mask = batch.mask
        user, target = states[mask].float(), items[:, 1:][mask].float()
        negatives = embeddings[count:].float()
        return info_nce(contrastive_logits(user, target, negatives, model.logit_scale))

    def step(self, name: str, batch: TrainBatch) -> tuple[float, float]:
        """One step: seconds and loss."""
        started = time.perf_counter()
        with torch.autocast(self._device, torch.bfloat16, enabled=self._device == "cuda"):
            loss = self.loss(name, batch)
        loss.backward()
        self._optimizers[name].step()
        self._optimizers[name].zero_grad()
        value = loss.item()  # waits for the device
        return time.perf_counter() - started, value


def peak_flops(device: str) -> float:
    """Operations a second of a product of two large matrices, the best of several."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    matrix = torch.randn(MATRIX, MATRIX, device=device, dtype=dtype)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        times.append(time.perf_counter() - started)
    return 2 * MATRIX**3 / min(times)


def batches(interactions: Interactions, size: int, negatives: int, steps: int) -> list[TrainBatch]:
    """Random users' training parts, the most recent 51 items."""
    parts = training_parts(interactions)
    chosen = np.random.default_rng(1).choice(len(parts), (steps, size), replace=False)
    return [
        make_batch(
            [parts[user][-51:] for user in users],
            np.arange(1, interactions.num_items),
            negatives,
            seed=[1, step],
        )
        for step, users in enumerate(chosen)
    ]


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=Path, required=True, help="items.csv")
    parser.add_argument("--interactions", type=Path, required=True, help="interactions.csv")
    parser.add_argument("--batch-size", type=int, default=16, help="sequences; %(default)s")
    parser.add_argument("--negatives", type=int, default=64, help="%(default)s")
    parser.add_argument("--max-tokens", type=int, default=64, help="of a text; %(default)s")
    parser.add_argument("--steps", type=int, default=5, help="after one to warm up; %(default)s")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = AutoTokenizer.from_pretrained(pretrained_folder(MINILM), local_files_only=True)
    interactions = read_interactions(options.interactions)
    fields = item_fields(interactions, read_items(options.items))
    texts = [item_text(values or {}, TEXT_KEYS, "") for values in fields]
    token_ids = tokenize(tokenizer, texts, options.max_tokens)
    torch.manual_seed(1)
    contest = Contest(our_model(MINILM, TEXT_KEYS, options.max_tokens), token_ids, device)
    seconds: dict[str, list[float]] = {name: [] for name in contest.models}
    counts: dict[str, list[int]] = {"tokens": [], "encoded": [], "places": [], "unique": []}
    size, negatives = options.batch_size, options.negatives
    for number, batch in enumerate(batches(interactions, size, negatives, options.steps + 1)):
        results = {name: contest.step(name, batch) for name in contest.models}
        unique, padded = (loss for _, loss in results.values())
        if abs(unique - padded) > TOLERANCE * (30 if device == "cuda" else 1):
            raise SystemExit(f"the losses differ: {unique} and {padded}")
        if number:
            wanted = torch.cat([batch.items[batch.items > 0], batch.negatives]).tolist()
            counts["places"].append(batch.items.numel() + len(batch.negatives))
            counts["unique"].append(len(set(wanted)))
            counts["tokens"].append(sum(len(token_ids[item]) for item in wanted))
            counts["encoded"].append(sum(len(token_ids[item]) for item in set(wanted)))
            for name, (taken, _) in results.items():
                seconds[name].append(taken)
    report(contest.models["unique"], seconds, counts, device)


def report(
    model: HLLM, seconds: dict[str, list[float]], counts: dict[str, list[int]], device: str
) -> None:
    """Print the table."""
    middle = {name: statistics.median(values) for name, values in counts.items()}
    print(machine_line())
    print(
        f"{middle['places']:.0f} places a step,"
        f" {middle['unique']:.0f} different items, {middle['tokens']:.0f} tokens"
    )
    print(f"{'':10}{'s/step':>9}{'items/s':>10}{'tokens/s':>11}{'speed-up':>10}")
    slow = statistics.median(seconds["padded"])
    for name, times in seconds.items():
        taken = statistics.median(times)
        print(
            f"{name:10}{taken:9.2f}{middle['places'] / taken:10.0f}"
            f"{middle['tokens'] / taken:11.0f}{slow / taken:9.1f}x"
        )
    layers = sum(p.numel() for p in model.item_llm.encoder.parameters())
    used = 6 * layers * middle["encoded"] / statistics.median(seconds["unique"])
    peak = peak_flops(device)
    print(f"utilisation: {used / 1e9:.0f} of {peak / 1e9:.0f} GFLOP/s, {used / peak:.0%}")


if __name__ == "__main__":
    main()
