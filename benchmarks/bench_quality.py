"""What rounding the User LLM's weights changes in a trained model's answers.

    python benchmarks/bench_quality.py --model runs/games --items data/games/items.csv \
        --interactions data/games/interactions.csv [--users 5000]

The same test users in each precision: how many of fp32's ten best items are among the ten best
(overlap@10), recall@10 of the held-out item, and the cosine of the user embedding to fp32's. No
timing: see bench_precision.py.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.shapes import precisions
from hllm.data import eval_cases
from hllm.embed import load_encoder, stored_or_encoded
from hllm.evaluate import DataSet
from hllm.evaluation.sample import sample_cases
from hllm.serving.user_model import UserModel, load_user_model


def states_of(user: UserModel, items: Tensor, windows: list[np.ndarray]) -> Tensor:
    """User embeddings (B, D) of histories, each in one pass."""
    return torch.stack([user.steps.extend(None, items[w])[1][-1].float().cpu() for w in windows])


def quality(options: argparse.Namespace) -> None:
    """Print the table of qualities."""
    data = DataSet.read(options.interactions, options.items)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model, tokenizer = load_encoder(options.model, device)
    config = model.config
    texts = [config.item_text(fields) for fields in data.fields]
    pairs = list(zip(data.interactions.item_ids, texts, strict=True))
    items = stored_or_encoded(options.model, model, tokenizer, pairs)
    candidates = F.normalize(items, dim=-1)
    cases = sample_cases(eval_cases(data.interactions, "test"), options.users, seed=0)
    windows = [case.history[-config.max_history :] for case in cases]
    reference: list[set[int]] = []
    print(f"{options.model}: {len(cases):,} users, {len(items) - 1:,} items")
    print(f"{'precision':10}{'overlap@10':>12}{'recall@10':>11}{'cosine':>9}")
    exact = None
    for precision in precisions():
        user = load_user_model(options.model, precision, cache=options.cache)
        states = states_of(user, items, windows)
        exact = states if exact is None else exact
        hits, best = 0, []
        for case, state in zip(cases, F.normalize(states, dim=-1), strict=True):
            scores = candidates @ state
            scores[0] = float("-inf")
            scores[[row for row in case.history.tolist() if row != case.target]] = float("-inf")
            best.append(set(torch.topk(scores, 10).indices.tolist()))
            hits += case.target in best[-1]
        reference = reference or best
        overlap = statistics.mean(len(a & b) for a, b in zip(reference, best, strict=True)) / 10
        cosine = F.cosine_similarity(states, exact).mean().item()
        print(f"{precision:10}{overlap:12.3f}{hits / len(cases):11.4f}{cosine:9.4f}", flush=True)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--items", type=Path, required=True, help="items.csv")
    parser.add_argument("--interactions", type=Path, required=True, help="interactions.csv")
    parser.add_argument("--users", type=int, default=5_000, help="sample of the test users")
    parser.add_argument("--cache", type=Path, default=None, help="folder for the graphs")
    quality(parser.parse_args())


if __name__ == "__main__":
    main()
