"""Evaluate trained models and baselines: leave-one-out, full ranking, one table for all of them.

    python -m hllm.evaluate --interactions interactions.csv --items items.csv
        --model runs/games --baselines popularity,item-knn,minilm-decay --output results.json

Rules: hllm.evaluation.ranking. Metrics: hllm.evaluation.metrics and, beyond accuracy,
hllm.evaluation.beyond_accuracy. Parts of the users and intervals: hllm.evaluation.slices.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("evaluate")

import argparse
import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from hllm.baselines.counts import ItemKNN, Popularity, TransitionGraph
from hllm.baselines.id_models import ID_MODEL_TYPE, load_id_model
from hllm.baselines.text_scorer import TextScorer
from hllm.checkpoint import load_model
from hllm.choices import TEXT_BASELINES
from hllm.data import (
    EvalCase,
    Interactions,
    eval_cases,
    popularity,
)
from hllm.embed import encode_catalog, stored_or_encoded
from hllm.errors import CheckpointError, DataError
from hllm.evaluation.beyond_accuracy import (
    LIST_LENGTH,
    ItemSpace,
    TrainingCounts,
    beyond_accuracy,
    category_space,
    text_space,
)
from hllm.evaluation.data_set import DataSet
from hllm.evaluation.ranking import Scorer, rank_cases, sampled_auc
from hllm.evaluation.report import (
    comparison_report,
    json_ready,
    model_report,
    part_report,
    shortcut_report,
)
from hllm.evaluation.sample import sample_cases
from hllm.evaluation.scorers import BlendedScorer, HLLMScorer, IDModelScorer, make_scorer
from hllm.evaluation.slices import HELD_OUT, slice_masks
from hllm.evaluation.trained_split import agreed_split, check_trained_split
from hllm.model import to_bfloat16
from hllm.sentence import baseline_keys, sentence_embeddings, sentence_text
from hllm.serving.blend import blend_beside
from hllm.split_options import LEAVE_ONE_OUT, SplitOptions, check_split, check_split_files
from hllm.store import BLEND, EMBEDDINGS, ItemEmbeddings
from hllm.tables import CsvFormat
from hllm.text import check_text_keys
from hllm.training.option_rules import check_options
from hllm.training.run_record import check_same_data

__all__ = ["DataSet", "Scorer", "evaluate_models", "load_scorer", "rank_cases", "run"]


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
        DataError: trained with another split.
    """
    folder = Path(folder)
    check_trained_split(folder, data.split)
    name = folder.resolve().name
    if _model_type(folder) == ID_MODEL_TYPE:
        sequential, item_ids = load_id_model(folder)
        if item_ids != data.interactions.item_ids[: data.num_trained + 1]:
            raise CheckpointError(
                f"{folder} was trained on another data set (its items differ): an ID model can "
                "only be evaluated on the interactions that it was trained on."
            )
        num_items = data.interactions.num_items
        return IDModelScorer(sequential.to(device), name=name, num_items=num_items)
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


def with_blend(scorer: Scorer, folder: Path, data: DataSet) -> Iterator[Scorer]:
    """A model as its folder is used: blended, if it holds a blend, and then alone.

    Raises:
        StaleEmbeddingsError: the blend is damaged, or of other item embeddings.
        CheckpointError: the blend is of other items than the data set.
    """
    if isinstance(scorer, HLLMScorer) and (folder / BLEND).exists():
        embeddings = ItemEmbeddings.load(folder / EMBEDDINGS)
        blend = blend_beside(folder, embeddings)
        assert blend is not None
        yield BlendedScorer(scorer, blend, embeddings.item_ids, data.interactions.item_ids)
    yield scorer


def _model_type(folder: Path) -> str | None:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return None  # load_model says what is wrong


def baseline_scorers(
    names: Sequence[str], data: DataSet, sentences: np.ndarray | None
) -> Iterator[Scorer]:
    """Make baselines by name, one at a time.

    Args:
        names: of hllm.choices.BASELINES.
        data: what they are fitted to (its training part) and evaluated on.
        sentences: (num_items, 384) of sentence_vectors; None if no name is of TEXT_BASELINES.

    Yields:
        Scorers, in the order of the names.
    """
    for name in names:
        if name == "popularity":
            yield Popularity(data.interactions)
        elif name == "item-knn":
            yield ItemKNN(data.interactions)
        elif name == "transition-graph":
            yield TransitionGraph(data.interactions)
        else:
            assert sentences is not None
            vectors = torch.from_numpy(sentences)
            if name == "transition-graph-minilm":
                yield TransitionGraph(data.interactions, TextScorer(vectors, "decay"))
            else:
                yield TextScorer(vectors, name.removeprefix("minilm-"))


def sentence_vectors(data: DataSet, text_keys: Sequence[str], *, device: str = "cpu") -> np.ndarray:
    """(num_items, 384) float32: what the sentence encoder makes of these fields of every item."""
    texts = [sentence_text(fields, text_keys) for fields in data.fields]
    return sentence_embeddings(texts, device=device)


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
    space: ItemSpace | None = None,
) -> dict[str, Any]:
    """Rank the same cases with every model.

    Args:
        scorers: the models (an iterator saves memory); the first is compared with the others.
        data: the data set.
        phase: "valid" or "test".
        max_users: evaluate a random sample of the users.
        reference_compatible: see hllm.evaluation.ranking.
        batch_size: users scored at once.
        seed: of the sample and the bootstrap.
        progress: whether to show progress bars.
        auc_negatives: also report hllm.evaluation.ranking.sampled_auc with so many negatives.
        space: of the diversity of lists; None: the categories of the items, if they have any.

    Returns:
        The report: see hllm.evaluation.report; NaN-free, ready for JSON.

    Raises:
        HLLMError: nobody can be evaluated, no target is found, or a score is not finite.
    """
    cases, masks = _cases(data.interactions, phase, max_users, seed)
    counts, space = TrainingCounts.of(data.interactions), space or category_space(data.fields)
    lists = np.zeros((len(cases), LIST_LENGTH), dtype=np.int32)  # of one model after the other
    ranks, models = dict[str, np.ndarray](), dict[str, Any]()
    rules = dict[str, Any](phase=phase, reference_compatible=reference_compatible, seed=seed)
    rules["diversity_space"] = space.name if space else None
    rank = partial(rank_cases, cases=cases, lists=lists, batch_size=batch_size, progress=progress)
    for scorer in scorers:
        name, start = _unique(scorer.name, ranks), time.perf_counter()
        ranks[name] = rank(scorer, reference_compatible=reference_compatible)
        _check_found(name, ranks[name], data.interactions.num_items - 1)
        models[name] = {"seconds": round(time.perf_counter() - start, 2)}
        models[name]["is_shortcut"] = isinstance(scorer, TransitionGraph)
        models[name] |= model_report(ranks[name], masks, seed=seed)
        models[name]["metrics"] |= _auc(scorer, cases, auc_negatives, batch_size)
        models[name]["beyond_accuracy"] = beyond_accuracy(lists, counts, space)
    return _report(rules, data, ranks, models, masks.get(HELD_OUT))


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
    rules: dict[str, Any],
    data: DataSet,
    ranks: dict[str, np.ndarray],
    models: dict[str, Any],
    held_out: np.ndarray | None,
) -> dict[str, Any]:
    repeated = "repeated targets count as misses"
    repeated = repeated if rules["reference_compatible"] else "never the target"
    shortcuts = [name for name, model in models.items() if model.pop("is_shortcut")]
    report = rules | {
        "num_cases": len(next(iter(ranks.values()), ())),
        "num_items": data.interactions.num_items - 1,
        "num_untouched_items": data.interactions.num_items - 1 - data.num_touched,
        "split": asdict(data.split) | {"description": data.split_description},
        "seen_items": f"the history is masked, {repeated}",
        "models": models,
        "shortcut_audit": {name: shortcut_report(ranks, name) for name in shortcuts},
    }
    if held_out is not None:
        report["held_out"] = part_report(ranks, held_out, seed=rules["seed"])
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
    masks = slice_masks(cases, popularity(interactions), interactions.held_out)
    if interactions.parts and interactions.parts.new_users is not None:
        masks["user new"] = interactions.parts.new_users[[case.user for case in cases]]
    return cases, masks


def _unique(name: str, taken: dict[str, Any]) -> str:
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name} ({number})", number + 1
    return candidate


def check_device(name: str | None) -> str:
    """A device that this machine has; None: the GPU if there is one.

    Raises:
        DataError: there is no such device here.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name).cpu()
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"--device {name}: not on this machine; give cpu or cuda.") from error
    return name


def read_data(
    models: Sequence[Path], options: argparse.Namespace, *, reference_compatible: bool = False
) -> DataSet:
    """Read the data that options name, split as the models were trained.

    Raises:
        DataError: files that cannot be used, or that a model was not trained on.
    """
    return DataSet.read(
        options.interactions,
        options.items,
        form=CsvFormat.parse(options.delimiter, options.quote, options.encoding),
        reference_compatible=reference_compatible,
        split=_split(models, vars(options)),
        others=(options.valid_interactions, options.test_interactions),
    )


def _split(models: Sequence[Path], options: Mapping[str, Any]) -> SplitOptions:
    """The split of all models, on the data that they were trained on."""
    split = agreed_split(models, options)
    check_options(split)
    check_split(split)
    check_split_files(split, options["valid_interactions"], options["test_interactions"])
    if split.split != LEAVE_ONE_OUT:
        for folder in models:  # another file would be cut elsewhere
            check_same_data(folder, options)
    return split


def run(options: argparse.Namespace, baselines: Sequence[str]) -> dict[str, Any]:
    """Evaluate as the command line says; the report also says on what it was made.

    Raises:
        HLLMError: files or models that cannot be used.
    """
    device = check_device(options.device)
    rules = options.reference_compatible
    data = read_data(options.model, options, reference_compatible=rules)
    sentences = None
    if set(baselines) & set(TEXT_BASELINES):  # before hours of other models
        hllms = (folder for folder in options.model if _model_type(folder) != ID_MODEL_TYPE)
        keys = baseline_keys(
            data.fields[1:], options.text_keys, next(hllms, None), source=options.items
        )
        sentences = sentence_vectors(data, keys, device=device)

    def scorers() -> Iterator[Scorer]:
        for folder in options.model:
            yield from with_blend(
                load_scorer(folder, data, device=device, bf16=options.bf16), folder, data
            )
        yield from baseline_scorers(baselines, data, sentences)

    report = evaluate_models(
        scorers(),
        data,
        phase=options.phase,
        max_users=options.max_users,
        reference_compatible=options.reference_compatible,
        batch_size=options.batch_size,
        seed=options.seed,
        auc_negatives=options.auc,
        space=None if sentences is None else text_space(sentences),
    )
    return report | {
        "precision": "bf16" if options.bf16 else "fp32",
        "device": device,
        "machine": platform.platform(),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
