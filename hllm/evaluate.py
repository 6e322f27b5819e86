"""Evaluate trained models and baselines: leave-one-out, full ranking, one table for all of them.

    python -m hllm.evaluate --interactions interactions.csv --items items.csv
        --model runs/games --baselines popularity,item-knn,minilm-decay --output results.json

Rules: hllm.evaluation.ranking. Metrics: hllm.evaluation.metrics. Parts of the users and intervals:
hllm.evaluation.slices.
"""

import argparse
import json
import logging
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from hllm.atomic import atomic_path
from hllm.baselines.counts import ItemKNN, Popularity
from hllm.baselines.id_models import MODEL_TYPE as ID_MODEL_TYPE
from hllm.baselines.id_models import load_id_model
from hllm.baselines.text_scorer import HISTORY_POOLINGS, TextScorer
from hllm.checkpoint import load_model
from hllm.data import (
    EvalCase,
    Interactions,
    eval_cases,
    item_fields,
    popularity,
    read_interactions,
    read_items,
)
from hllm.embed import encode_catalog, stored_or_encoded
from hllm.errors import CheckpointError, DataError, HLLMError
from hllm.evaluation.ranking import Scorer, rank_cases, sampled_auc
from hllm.evaluation.report import comparison_report, format_report, json_ready, model_report
from hllm.evaluation.sample import sample_cases
from hllm.evaluation.scorers import IDModelScorer, make_scorer
from hllm.evaluation.slices import slice_masks
from hllm.model import to_bfloat16
from hllm.sentence import DEFAULT_KEYS, baseline_keys, sentence_embeddings, sentence_text
from hllm.tables import DEFAULT_FORMAT, CsvFormat, add_csv_options
from hllm.text import check_text_keys

__all__ = ["DataSet", "Scorer", "evaluate_models", "load_scorer", "main", "rank_cases"]

logger = logging.getLogger(__name__)
BASELINES = ("popularity", "item-knn", *(f"minilm-{pooling}" for pooling in HISTORY_POOLINGS))


@dataclass(frozen=True)
class DataSet:
    """A csv pair, read.

    Attributes:
        interactions: sequences by user.
        fields: text fields by item_index; None for padding and for items without a record.
    """

    interactions: Interactions
    fields: list[Any]

    @classmethod
    def read(
        cls,
        interactions: str | Path,
        items: str | Path,
        *,
        form: CsvFormat = DEFAULT_FORMAT,
        reference_compatible: bool = False,
    ) -> "DataSet":
        """Read both files.

        Raises:
            DataError: missing or malformed.
        """
        sequences = read_interactions(
            interactions, form=form, reference_compatible=reference_compatible
        )
        records = read_items(items, form=form, reference_compatible=reference_compatible)
        return cls(sequences, list(item_fields(sequences, records)))


def load_scorer(
    folder: str | Path, data: DataSet, *, device: str = "cpu", bf16: bool = False
) -> Scorer:
    """Load a trained model of any kind for evaluation.

    Args:
        folder: an HLLM (hllm.train), or an ID model (hllm.baselines.id_models.save_id_model).
        data: what it will be evaluated on; an HLLM embeds those of its items first whose embedding
            is not in the folder.
        device: of torch.
        bf16: evaluate an HLLM in bfloat16, as the published numbers were made.

    Raises:
        CheckpointError: missing, damaged, or an ID model of another data set.
    """
    folder = Path(folder)
    name = folder.resolve().name
    if _model_type(folder) == ID_MODEL_TYPE:
        sequential, item_ids = load_id_model(folder)
        if item_ids != data.interactions.item_ids:
            raise CheckpointError(
                f"{folder} was trained on another data set (its items differ): an ID model can "
                "only be evaluated on the interactions that it was trained on."
            )
        return IDModelScorer(sequential.to(device), name=name)
    model, tokenizer = load_model(folder)
    model.to(torch.device(device))  # type: ignore[arg-type]
    if bf16:
        to_bfloat16(model)
    check_text_keys(
        data.fields[1:], model.config.text_keys, source=f"items for {folder}", every=False
    )
    texts = [model.config.item_text(fields) for fields in data.fields]
    if bf16:  # stored embeddings were made in another precision
        embeddings = encode_catalog(model, tokenizer, texts)
    else:
        pairs = list(zip(data.interactions.item_ids, texts, strict=True))
        embeddings = stored_or_encoded(folder, model, tokenizer, pairs)
    return make_scorer(model, embeddings, name=name, bf16=bf16)


def _model_type(folder: Path) -> str | None:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None  # load_model says what is wrong


def baseline_scorers(
    names: Sequence[str], data: DataSet, *, text_keys: Sequence[str], device: str = "cpu"
) -> Iterator[Scorer]:
    """Make baselines by name, one at a time.

    Args:
        names: of BASELINES.
        data: what they are fitted to (its training part) and evaluated on.
        text_keys: fields that the sentence encoder reads.
        device: of the sentence encoder.

    Yields:
        Scorers, in the order of the names.
    """
    sentences = None
    for name in names:
        if name == "popularity":
            yield Popularity(data.interactions)
        elif name == "item-knn":
            yield ItemKNN(data.interactions)
        else:
            if sentences is None:
                texts = [sentence_text(fields, text_keys) for fields in data.fields]
                sentences = torch.from_numpy(sentence_embeddings(texts, device=device))
            yield TextScorer(sentences, name.removeprefix("minilm-"))


def evaluate_models(
    scorers: Iterable[Scorer],
    data: DataSet,
    *,
    phase: str = "test",
    max_users: int | None = None,
    reference_compatible: bool = False,
    batch_size: int = 256,
    seed: int = 0,
    progress: bool = True,
    auc_negatives: int = 0,
) -> dict[str, Any]:
    """Rank the same cases with every model.

    Args:
        scorers: the models; the first is compared with each of the others. An iterator is advanced
            when the model before is done, so that only one needs memory.
        data: the data set.
        phase: "valid" or "test".
        max_users: evaluate a random sample of the users.
        reference_compatible: see hllm.evaluation.ranking.
        batch_size: users scored at once.
        seed: of the sample and the bootstrap.
        progress: whether to show progress bars.
        auc_negatives: also report hllm.evaluation.ranking.sampled_auc with so many negatives.

    Returns:
        The report: see hllm.evaluation.report; NaN-free, ready for JSON.

    Raises:
        HLLMError: nobody can be evaluated, no target is found, or a score is not finite.
    """
    cases, masks = _cases(data.interactions, phase, max_users, seed)
    ranks, models = dict[str, np.ndarray](), dict[str, Any]()
    for scorer in scorers:
        start = time.perf_counter()
        name = _unique(scorer.name, ranks)
        ranks[name] = rank_cases(
            scorer,
            cases,
            batch_size=batch_size,
            reference_compatible=reference_compatible,
            progress=progress,
        )
        _check_found(name, ranks[name], data.interactions.num_items - 1)
        models[name] = {"seconds": round(time.perf_counter() - start, 2)}
        models[name] |= model_report(ranks[name], masks, seed=seed)
        models[name]["metrics"] |= _auc(scorer, cases, auc_negatives, batch_size)
    rules = {"phase": phase, "reference_compatible": reference_compatible, "seed": seed}
    return _report(rules, data.interactions.num_items - 1, ranks, models)


def _check_found(name: str, ranks: np.ndarray, num_items: int) -> None:
    if not np.isfinite(ranks).any():
        raise DataError(
            f"{name}: no target was found among the {num_items:,} items: every user's last item is "
            "one that the user had before, which --reference-compatible counts as a miss; evaluate "
            "without it."
        )


def _auc(
    scorer: Scorer, cases: list[EvalCase], num_negatives: int, batch_size: int
) -> dict[str, float]:
    if not num_negatives:
        return {}
    values = sampled_auc(scorer, cases, num_negatives=num_negatives, batch_size=batch_size)
    return {"auc": float(np.nanmean(values))}


def _report(
    rules: dict[str, Any], num_items: int, ranks: dict[str, np.ndarray], models: dict[str, Any]
) -> dict[str, Any]:
    repeated = "repeated targets count as misses"
    repeated = repeated if rules["reference_compatible"] else "never the target"
    report = rules | {
        "num_cases": len(next(iter(ranks.values()), ())),
        "num_items": num_items,
        "seen_items": f"the history is masked, {repeated}",
        "models": models,
    }
    if len(models) > 1:
        first = next(iter(models))
        report["comparisons"] = {first: comparison_report(ranks, first, seed=rules["seed"])}
    return json_ready(report)


def _cases(
    interactions: Interactions, phase: str, max_users: int | None, seed: int
) -> tuple[list[EvalCase], dict[str, np.ndarray]]:
    """The cases to rank, and which of them belong to which slice."""
    cases = sample_cases(eval_cases(interactions, phase), max_users, seed)
    if not cases:
        raise DataError(
            f"no user can be evaluated in phase {phase}: a user needs at least "
            f"{3 if phase == 'valid' else 2} interactions."
        )
    return cases, slice_masks(cases, popularity(interactions))


def _unique(name: str, taken: dict[str, Any]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name} ({number})", number + 1
    return candidate


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hllm.evaluate",
        description="Rank each user's held-out item among all items and report recall, ndcg and "
        "MRR, by part of the users too, with confidence intervals. The last interaction of a user "
        "is the test target, the one before it the validation target.",
        epilog="Example: python -m hllm.evaluate --interactions games/interactions.csv.gz "
        "--items games/items.csv.gz --model runs/games --baselines popularity,minilm-decay "
        "--output results.json",
    )
    add = parser.add_argument
    add("--interactions", required=True, type=Path, help="csv[.gz]: item_id,user_id,timestamp")
    add("--items", required=True, type=Path, help="csv[.gz]: item_id and text columns")
    add_csv_options(parser)
    add("--model", action="append", default=[], type=Path, metavar="FOLDER",
        help="trained model, repeatable; the first is compared with every other")  # fmt: skip
    add("--baselines", default="", metavar="LIST",
        help=f"comma-separated, of: {', '.join(BASELINES)}")  # fmt: skip
    add("--text-keys", metavar="LIST",
        help="columns that MiniLM reads; default: those that the first HLLM reads, or without one "
        f"those there are of {','.join(DEFAULT_KEYS)}")  # fmt: skip
    add("--phase", choices=("test", "valid"), default="test", help="default: %(default)s")
    add("--output", type=Path, metavar="FILE", help="also write the results as JSON")
    add("--max-users", type=int, metavar="N", help="evaluate a random sample of N users")
    add("--seed", type=int, default=0, help="of the sample and the bootstrap; default: 0")
    add("--batch-size", type=int, default=256, help="users scored at once; default: 256")
    add("--auc", type=int, default=0, metavar="N",
        help="also how often the target scores above each of N random unseen items")  # fmt: skip
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="%(default)s")
    add("--bf16", action="store_true",
        help="evaluate HLLM in bfloat16, as the published numbers were (many ties)")  # fmt: skip
    add("--reference-compatible", action="store_true",
        help="as the reference: repeated targets are misses, columns by position, typed csv cells, "
        "unstable sort by time")  # fmt: skip
    return parser


def _names(parser: argparse.ArgumentParser, options: argparse.Namespace) -> list[str]:
    names = [name.strip() for name in options.baselines.split(",") if name.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        parser.error(f"unknown baseline {unknown[0]!r}: choose of {', '.join(BASELINES)}")
    if not names and not options.model:
        parser.error("nothing to evaluate: give --model FOLDER or --baselines LIST")
    for option, value in (("--max-users", options.max_users), ("--batch-size", options.batch_size)):
        if value is not None and value < 1:
            parser.error(f"{option} {value}: must be at least 1")
    return names


def _run(options: argparse.Namespace, baselines: Sequence[str]) -> dict[str, Any]:
    data = DataSet.read(
        options.interactions,
        options.items,
        form=CsvFormat.parse(options.delimiter, options.quote, options.encoding),
        reference_compatible=options.reference_compatible,
    )

    keys: list[str] = []
    if any(name.startswith("minilm-") for name in baselines):  # before hours of other models
        hllms = (folder for folder in options.model if _model_type(folder) != ID_MODEL_TYPE)
        keys = baseline_keys(
            data.fields[1:], options.text_keys, next(hllms, None), source=options.items
        )

    def scorers() -> Iterator[Scorer]:
        for folder in options.model:
            yield load_scorer(folder, data, device=options.device, bf16=options.bf16)
        yield from baseline_scorers(baselines, data, text_keys=keys, device=options.device)

    report = evaluate_models(
        scorers(),
        data,
        phase=options.phase,
        max_users=options.max_users,
        reference_compatible=options.reference_compatible,
        batch_size=options.batch_size,
        seed=options.seed,
        auc_negatives=options.auc,
    )
    return report | {
        "precision": "bf16" if options.bf16 else "fp32",
        "device": options.device,
        "machine": platform.platform(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    baselines = _names(parser, options)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        report = _run(options, baselines)
        if options.output:
            with atomic_path(options.output) as temporary:
                temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except HLLMError as error:
        logger.error("%s", error)
        return 2
    sys.stdout.write(format_report(report) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
