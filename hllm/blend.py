"""Fit a blend of HLLM, text and item-to-item neighbours on the validation targets.

    python -m hllm.blend --model runs/games --items items.csv --interactions interactions.csv

Neighbours are counted on the training part alone, and weights are chosen on the validation target
of each user, so that the test target stays unseen. See hllm.serving.blend for the formula.
"""

if __name__ == "__main__":  # before torch is imported, so that --help answers at once
    from hllm.shell import run_command

    run_command("blend")

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from hllm.baselines.counts import ItemKNN
from hllm.baselines.text_scorer import DECAY
from hllm.data import EvalCase, eval_cases, popularity
from hllm.errors import CheckpointError, DataError
from hllm.evaluate import DataSet, load_scorer, sentence_vectors
from hllm.evaluation.metrics import target_ranks
from hllm.evaluation.ranking import mask_seen, tie_permutation
from hllm.evaluation.sample import sample_cases
from hllm.evaluation.scorers import BlendedScorer, HLLMScorer
from hllm.evaluation.slices import slice_masks
from hllm.serving.blend import Blend, BlendWeights, catalog_of, combined
from hllm.splits import training_view
from hllm.store import BLEND, EMBEDDINGS, ItemEmbeddings

MAX_USERS = 10_000  # that the weights are chosen on
USERS_AT_ONCE = 256
TEXT = (0.0, 0.3, 0.6)
RARE_TEXT = (0.0, 0.2, 0.4, 0.8, 1.0, 1.2, 1.6)
NEIGHBOURS = (0.0, 0.2, 0.4, 0.8)
ALONE = BlendWeights(0.0, 0.0, 0.0, DECAY)
# Rarely or never bought targets must be found at least as often as by the text alone; that may cost
# at most this share of what HLLM alone finds.
RARE_SLICES = ("target tail", "target cold")
# Validation may have no target that nobody has, and the catalogue plenty. So each target is also
# ranked as if nobody had it. HLLM has seen it in training and finds it too often, so that the text
# is no hard test: it must not be found less often than by HLLM alone either.
UNSEEN = "as if never bought"
KEPT_SHARE = 0.99


@dataclass(frozen=True)
class Quality:
    """What some weights reach on the validation targets, 0 to 1.

    Attributes:
        recall: recall@10.
        ndcg: ndcg@10.
        rare: recall@10 of each of RARE_SLICES that has targets, and of all targets, each ranked as
            if nobody had it: UNSEEN.
    """

    recall: float
    ndcg: float
    rare: Mapping[str, float]

    def reaches(self, floor: Mapping[str, float]) -> bool:
        """Whether rare targets are found at least this often."""
        return all(self.rare[name] >= value for name, value in floor.items())


@dataclass(frozen=True)
class Fit:
    """A blend, and what it was chosen from.

    Attributes:
        blend: with the weights that were chosen.
        alone: HLLM without a blend.
        text: the text without HLLM, the history pooled with decay and its last item alone.
        chosen: the blend.
        keeps_rare: whether it finds rare targets at least as often as the text does.
        num_users: that it was chosen on.
    """

    blend: Blend
    alone: Quality
    text: tuple[Quality, Quality]
    chosen: Quality
    keeps_rare: bool
    num_users: int


def fit_blend(
    folder: Path,
    data: DataSet,
    text_keys: Sequence[str],
    *,
    device: str = "cpu",
    max_users: int = MAX_USERS,
    seed: int = 0,
    progress: bool = True,
) -> Fit:
    """Make the blend of a model folder; nothing is written.

    Args:
        folder: a trained HLLM with its item embeddings.
        data: what it was trained on.
        text_keys: fields that the sentence encoder reads.
        device: of torch.
        max_users: that the weights are chosen on, drawn at random.
        seed: of the draw.
        progress: whether to show a progress bar.

    Raises:
        HLLMError: the model cannot be used, or nobody has a validation target.
    """
    embeddings = ItemEmbeddings.load(folder / EMBEDDINGS)
    scorer = load_scorer(folder, data, device=device)
    if type(scorer) is not HLLMScorer:
        raise CheckpointError(
            f"{folder} is no generative HLLM: only the cosines of one can be blended."
        )
    # Weights are part of the training: they see no item that is held out of it.
    cases = sample_cases(eval_cases(training_view(data.interactions), "valid"), max_users, seed)
    if not cases:
        raise DataError("nobody has the three interactions that a validation target needs.")
    blend = _ingredients(embeddings, data, sentence_vectors(data, text_keys, device=device))
    blended = BlendedScorer(scorer, blend, embeddings.item_ids, data.interactions.item_ids)
    grid = [BlendWeights(*w, DECAY) for w in product(TEXT, RARE_TEXT, NEIGHBOURS)]
    ranks, unseen, texts = _ranks(blended, cases, grid, progress=progress)
    masks = slice_masks(cases, popularity(data.interactions))
    found = {weights: _quality(ranks[weights], unseen[weights], masks) for weights in grid}
    # The text knows nothing of who bought an item: it ranks both alike.
    text = (_quality(texts[0], texts[0], masks), _quality(texts[1], texts[1], masks))
    alone = found[ALONE]
    weights, keeps_rare = _choose(found, alone, text)
    return Fit(replace(blend, weights=weights), alone, text, found[weights], keeps_rare, len(cases))


def save_blend(folder: Path, blend: Blend) -> Path:
    """Put it into the model folder, where evaluation, recommendation and page find it."""
    path = folder / BLEND
    blend.save(path)
    return path


def _ingredients(embeddings: ItemEmbeddings, data: DataSet, sentences: np.ndarray) -> Blend:
    """A blend without weights, its rows in the order of the item embeddings."""
    index = {item_id: row for row, item_id in enumerate(data.interactions.item_ids)}
    unknown = [item_id for item_id in embeddings.item_ids if item_id not in index]
    if unknown or len(index) - 1 != len(embeddings.item_ids):
        raise DataError(
            "The model's item embeddings are of other items than --items: give the files that it "
            "was trained on, or embed again with  python -m hllm.embed"
        )
    order = np.array([index[item_id] for item_id in embeddings.item_ids])
    near = ItemKNN(data.interactions).similarity[order][:, order].tocsr()
    return Blend(
        weights=ALONE,
        texts=torch.from_numpy(sentences[order]).half(),
        starts=torch.from_numpy(near.indptr.astype(np.int64)),
        neighbours=torch.from_numpy(near.indices.astype(np.int32)),
        similarities=torch.from_numpy(near.data.astype(np.float32)),
        counts=torch.from_numpy(popularity(data.interactions)[order].astype(np.int32)),
        catalog=catalog_of(embeddings),
    )


@torch.inference_mode()
def _ranks(
    scorer: BlendedScorer,
    cases: Sequence[EvalCase],
    grid: Sequence[BlendWeights],
    *,
    progress: bool,
) -> tuple[dict[BlendWeights, np.ndarray], dict[BlendWeights, np.ndarray], np.ndarray]:
    """Ranks of the targets.

    Returns:
        (num_cases,) for each of the weights; the same as if nobody had the target; (2, num_cases)
        of the text.
    """
    ranks = {weights: np.zeros(len(cases)) for weights in grid}
    unseen = {weights: np.zeros(len(cases)) for weights in grid}
    texts = np.zeros((2, len(cases)))
    tie_order = None
    with tqdm(total=len(cases), unit=" users", desc="weights", disable=not progress) as bar:
        for start in range(0, len(cases), USERS_AT_ONCE):
            batch = cases[start : start + USERS_AT_ONCE]
            targets = torch.tensor([case.target for case in batch])
            cosines, text, near = scorer.parts([case.history for case in batch])
            tie_order = tie_permutation(cosines.shape[1]) if tie_order is None else tie_order
            counts, hidden = scorer.counts, mask_seen(torch.zeros_like(cosines), batch)
            latest = scorer.latest_text([case.history for case in batch])
            place = partial(target_ranks, targets=targets, tie_order=tie_order)
            own = slice(start, start + len(batch))
            column = targets.unsqueeze(1)
            cosine, words = cosines.gather(1, column), text.gather(1, column)
            nobody = torch.zeros_like(cosine)  # no neighbours (B, 1), and no interactions
            cosines += hidden  # -inf stays -inf in every sum
            for weights, kept in ranks.items():
                scores = combined(cosines, text, near, counts, weights)
                kept[own] = place(scores)
                scores.scatter_(1, column, combined(cosine, words, nobody, nobody, weights))
                unseen[weights][own] = place(scores)
            texts[:, own] = np.stack([place(text + hidden), place(latest + hidden)])
            bar.update(len(batch))
    return ranks, unseen, texts


def _quality(ranks: np.ndarray, unseen: np.ndarray, masks: Mapping[str, np.ndarray]) -> Quality:
    hits = ranks <= 10
    rare = {name: float(hits[masks[name]].mean()) for name in RARE_SLICES if masks[name].any()}
    return Quality(
        recall=float(hits.mean()),
        ndcg=float((hits / np.log2(ranks + 1)).mean()),
        rare={**rare, UNSEEN: float((unseen <= 10).mean())},
    )


def _choose(
    found: Mapping[BlendWeights, Quality], alone: Quality, text: Sequence[Quality]
) -> tuple[BlendWeights, bool]:
    """The weights with the best ndcg@10 among those that keep what the text finds, if any do."""
    floor = {name: max(own.rare[name] for own in text) for name in alone.rare}
    floor[UNSEEN] = max(floor[UNSEEN], alone.rare[UNSEEN])
    fair = {
        weights: quality
        for weights, quality in found.items()
        if quality.reaches(floor)
        and quality.recall >= KEPT_SHARE * alone.recall
        and quality.ndcg >= KEPT_SHARE * alone.ndcg
    }
    among = fair or found
    return max(among, key=lambda weights: among[weights].ndcg), bool(fair)
