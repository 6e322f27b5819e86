r"""What helps rarely bought items: one change at a time to HLLM's training, with three seeds each.

    python benchmarks/techniques.py --items data/office/items.csv \
        --interactions data/office/interactions.csv --output runs/techniques.json

Every row is a training of its own with the options in OPTIONS and one technique of TECHNIQUES,
measured on the validation target of each user, at the epoch with the best ndcg@10. A stopped run
goes on with what is missing in --output. The model alone is compared: what `python -m hllm.blend`
adds to it is in docs/results.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from benchmarks.measure import machine_line
from hllm.atomic import atomic_text
from hllm.data import EvalCase, popularity
from hllm.evaluation.ranking import rank_cases
from hllm.evaluation.scorers import make_scorer
from hllm.evaluation.slices import slice_masks
from hllm.train import parse_options
from hllm.training.batches import (
    TrainBatch,
    batch_rows,
    make_batch,
    read_training_data,
    training_chunks,
    validation_cases,
)
from hllm.training.loss import contrastive_logits, info_nce
from hllm.training.optimizer import lr_multiplier, make_optimizer
from hllm.training.trainee import HLLMTrainee

SEEDS = (2020, 2021, 2022)
OPTIONS = (  # those that app.build chooses for Amazon Office, but for the length of the training
    "--item_training frozen --item_pooling mean --item_adapter mlp --max_history 15"
    " --text_keys title creator description --max_text_tokens 128 --batch_size 64"
    " --num_negatives 2048 --epochs 6"
)
MEASURES = ("recall@10", "ndcg@10", "target head", "target middle", "target tail", "target cold")


@dataclass(frozen=True)
class Technique:
    """One change to the training.

    Attributes:
        from_all: draw negatives from all items, those too that nobody has in training.
        every_item: every trained item is a negative of every position, instead of a sample.
        log_popularity: t; t * log(share of the training interactions) is added to an item's logit
            in training and not afterwards (logit adjustment, arXiv 2007.07314): the model explains
            what popularity does not.
        mask_ids: share of the items whose learned residual is left out at a step; None: items are
            their texts alone. An item that nobody has in training has no residual.
        keep_text: weight of the mean square difference between the cosines of item embeddings and
            those of the item's states, over pairs of a step's items.
        drop_text: dropout on the Item LLM's states.
    """

    from_all: bool = False
    every_item: bool = False
    log_popularity: float = 0.0
    mask_ids: float | None = None
    keep_text: float = 0.0
    drop_text: float = 0.0


TECHNIQUES = {
    "as it is": Technique(),
    "negatives from all items": Technique(from_all=True),
    "every item a negative": Technique(every_item=True),
    "log popularity 0.3": Technique(log_popularity=0.3),
    "log popularity 0.6": Technique(log_popularity=0.6),
    "learned residual, half masked": Technique(mask_ids=0.5),
    "kept near the text": Technique(keep_text=3.0),
    "dropout 0.2 on the text": Technique(drop_text=0.2),
}


class Items(nn.Module):
    """Item embeddings under a technique.

    Args:
        trainee: with a frozen Item LLM.
        counts: (num_items,) training interactions of each item.
        technique: what is changed.
    """

    def __init__(self, trainee: HLLMTrainee, counts: np.ndarray, technique: Technique) -> None:
        super().__init__()
        self._step, self._technique = trainee.step, technique
        self.num_items = len(trainee.texts.texts)
        self._trained = torch.zeros(self.num_items, dtype=torch.bool)
        self._trained[: len(counts)] = torch.from_numpy(counts > 0)
        self.residual: nn.Embedding | None = None
        if technique.mask_ids is not None:
            width = trainee.model.config.user_config.hidden_size
            self.residual = nn.Embedding(self.num_items, width)
            nn.init.normal_(self.residual.weight, std=0.02)

    def forward(self, items: Tensor) -> Tensor:
        """Embeddings (N, D) of items (N,) by index."""
        embeddings = self._step.item_embeddings(items)
        if self.residual is None:
            return embeddings
        kept = self._trained[items]
        if self.training:
            kept = kept & (torch.rand(len(items)) >= float(self._technique.mask_ids or 0))
        return embeddings + self.residual(items) * kept.unsqueeze(1)


class Run:
    """One training of one technique.

    Args:
        arguments: of hllm.train.
        technique: what is changed.
    """

    def __init__(self, arguments: Sequence[str], technique: Technique) -> None:
        self.model_options, self.options = parse_options(arguments)
        self.technique = technique
        torch.manual_seed(self.options.seed)
        self.interactions = read_training_data(self.options)
        self.chunks = training_chunks(
            self.interactions, self.model_options.max_history, self.options
        )
        self.cases = validation_cases(self.interactions, self.options)
        self.counts = popularity(self.interactions)
        self.trainee = HLLMTrainee(
            self.model_options, self.options, self.interactions, torch.device("cpu")
        )
        self.items = Items(self.trainee, self.counts, technique)
        self._states = torch.empty(0)  # of the items that were embedded last
        self.trainee.model.item_adapter.register_forward_pre_hook(self._see_states)
        self._drawable = self._pool()
        share = np.maximum(self.counts, 0.5) / self.counts.sum()  # no logarithm of 0
        self._log_share = torch.from_numpy(np.log(share)).float()

    def _see_states(self, adapter: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
        self._states = given[0]
        return (F.dropout(given[0], self.technique.drop_text, training=adapter.training),)

    def _pool(self) -> np.ndarray:
        if self.technique.from_all:
            return np.arange(1, self.items.num_items)
        return np.flatnonzero(self.counts)

    def best(self) -> dict[str, float]:
        """Train, and return the validation metrics of the best epoch, 0 to 1."""
        options, step = self.options, self.trainee.step
        modules = nn.ModuleList([step, self.items])
        optimizer = make_optimizer(
            (p for p in modules.named_parameters() if p[1].requires_grad),
            learning_rate=options.learning_rate,
            item_learning_rate=options.item_learning_rate,
            user_learning_rate=options.user_learning_rate,
            weight_decay=options.weight_decay,
        )
        lengths = np.array([len(chunk) for chunk in self.chunks])
        total = options.epochs * -(-len(self.chunks) // options.batch_size)
        schedule = LambdaLR(optimizer, lambda n: lr_multiplier(n, total, options.warmup))
        found: list[dict[str, float]] = []
        number = 0
        for epoch in range(options.epochs):
            modules.train()
            for rows in batch_rows(lengths, options.batch_size, seed=options.seed, epoch=epoch):
                loss = self._loss(self._batch(rows, number))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(modules.parameters(), options.clip_norm)
                optimizer.step()
                schedule.step()
                number += 1
            modules.eval()
            found.append(_measures(self._ranks(), self.cases, self.counts))
        return max(found, key=lambda measures: measures["ndcg@10"])

    def _batch(self, rows: np.ndarray, number: int) -> TrainBatch:
        options = self.options
        chunks = [self.chunks[row] for row in rows]
        seed = (options.seed, number, 0)
        batch = make_batch(chunks, self._drawable, options.num_negatives, seed=seed)
        if not self.technique.every_item:
            return batch
        return TrainBatch(batch.items, batch.mask, torch.from_numpy(self._drawable))

    def _loss(self, batch: TrainBatch) -> Tensor:
        step, technique = self.trainee.step, self.technique
        wanted = torch.cat([batch.items.flatten(), batch.negatives])
        unique, inverse = torch.unique(wanted, return_inverse=True)
        embeddings = self.items(unique)
        items = inverse[: batch.items.numel()].view_as(batch.items)
        histories = step.dropout(embeddings[items[:, :-1]])
        states = step.encode_users(histories, batch.mask.sum(dim=1))
        targets = batch.items[:, 1:][batch.mask]
        logits = contrastive_logits(
            states[batch.mask],
            embeddings[items[:, 1:][batch.mask]],
            embeddings[inverse[batch.items.numel() :]],
            step.model.logit_scale,
        )
        if technique.log_popularity:
            shares = torch.cat(
                [
                    self._log_share[targets].unsqueeze(1),
                    self._log_share[batch.negatives].expand(len(targets), -1),
                ],
                dim=1,
            )
            logits = logits + technique.log_popularity * shares
        loss = info_nce(logits)
        if technique.keep_text:
            loss = loss + technique.keep_text * self._distance_from_text(embeddings)
        return loss

    def _distance_from_text(self, embeddings: Tensor) -> Tensor:
        some = torch.randperm(len(embeddings))[:512]
        own, text = (F.normalize(x[some], dim=1) for x in (embeddings, self._states))
        return ((own @ own.T - text @ text.T) ** 2).mean()

    @torch.inference_mode()
    def _ranks(self) -> np.ndarray:
        embeddings = self.items(torch.arange(self.items.num_items))
        scorer = make_scorer(self.trainee.model, embeddings)
        return rank_cases(scorer, self.cases, progress=False)


def _measures(ranks: np.ndarray, cases: Sequence[EvalCase], counts: np.ndarray) -> dict[str, float]:
    hits = ranks <= 10
    masks = slice_masks(cases, counts)
    slices = {name: float(hits[masks[name]].mean()) for name in MEASURES[2:]}
    ndcg = float((hits / np.log2(ranks + 1)).mean())
    return {"recall@10": float(hits.mean()), "ndcg@10": ndcg, **slices}


def table(results: dict[str, dict[str, float]]) -> str:
    """Mean and range over the seeds, in percent, as Markdown."""
    lines = ["| technique | " + " | ".join(MEASURES) + " | seeds |"]
    lines.append("|---" * (len(MEASURES) + 2) + "|")
    for name in TECHNIQUES:
        runs = [values for key, values in results.items() if key.startswith(f"{name}, seed ")]
        if not runs:
            continue
        cells = []
        for measure in MEASURES:
            values = [100 * run[measure] for run in runs]
            cells.append(f"{np.mean(values):.2f} ({min(values):.2f}-{max(values):.2f})")
        lines.append(f"| {name} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines)


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", required=True, help="items.csv of the csv pair")
    parser.add_argument("--interactions", required=True, help="interactions.csv")
    parser.add_argument("--output", type=Path, required=True, help="JSON of the results")
    parser.add_argument("--options", default=OPTIONS, help="of hllm.train (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=TECHNIQUES, default=list(TECHNIQUES))
    options = parser.parse_args()
    files = ["--items", options.items, "--interactions", options.interactions]
    results = json.loads(options.output.read_text("utf-8")) if options.output.is_file() else {}
    todo = [(seed, name) for seed in SEEDS for name in options.only]
    for seed, name in tqdm(todo, unit=" runs"):
        key = f"{name}, seed {seed}"
        if key in results:
            continue
        arguments = [*files, *options.options.split(), "--seed", str(seed), "--output", "unused"]
        started = time.monotonic()
        measured = Run(arguments, TECHNIQUES[name]).best()
        results[key] = measured | {"seconds": time.monotonic() - started}
        with atomic_text(options.output) as file:
            json.dump(results, file, indent=1)
        tqdm.write(f"{key}: {measured}")
    print(machine_line())
    print(table(results))


if __name__ == "__main__":
    main()
