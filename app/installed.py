"""What is installed for a catalogue: every model that could stand in a column.

The modules of the models are imported in the functions that load them, as in app.opening.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.catalog import Catalog
from app.columns import BASELINE_DOES, Column
from app.errors import CatalogError
from app.evaluated import NOT_EVALUATED, numbers_in, numbers_of
from app.filter_rows import FilterRows
from app.languages import marked
from app.loaded import Installed
from app.settings import ROOT, Settings, writable_dir
from app.taken import check_taken, interactions_of
from hllm.errors import CheckpointError, HLLMError, StaleEmbeddingsError
from hllm.evaluation.run_records import RESULTS
from hllm.schema.configs import CONFIG_BYTES, ID_MODEL_TYPE, check_id_model
from hllm.schema.rules import parse_json, read_object

if TYPE_CHECKING:
    from hllm.recommend import ItemRanker

BOOKS = ROOT / "assets" / "books"
PAIR_OF_SMOLLM2 = BOOKS / "smollm2"
MOST_FOLDERS = 50
FEWEST_KNOWN = 0.5  # of the catalogue's items that an ID model must know
EMBEDDINGS = "embeddings.safetensors"  # of hllm.store, which imports torch
ID_TITLES = {"sasrec": "SASRec", "esasrec": "eSASRec", "hstu": "HSTU", "id-llama": "ID-Llama"}
ID_DOES = marked("Trained on histories: knows items by number, reads no texts.")
HLLM_DOES = marked("Trained on histories, reads texts: another HLLM.")
KNN_DOES = marked("Counts: what readers of the same items took.")
POPULARITY_DOES = marked("Counts: the same list for everybody.")
POOLINGS = {
    "decay": marked("Baseline"),
    "mean": marked("MiniLM, mean of all"),
    "last": marked("MiniLM, last item"),
}
NO_HLLM = marked(
    "There is no HLLM for this catalogue yet: train one with python -m hllm.train and start the "
    "app with --model FOLDER; of several catalogues with --catalog FILE=FOLDER."
)
NO_SENTENCES = marked(
    "There are no baseline embeddings for this catalogue yet: make them with python -m "
    "hllm.sentence --items ITEMS --output FOLDER/baseline.safetensors and start the app with "
    "--baseline FILE; of several catalogues with --catalog FILE=FOLDER."
)
_COUNTS = {"item-knn": "Item-kNN", "popularity": marked("Popularity")}

logger = logging.getLogger(__name__)
LoadHLLM = Callable[[Path], "ItemRanker"]


@dataclass(frozen=True)
class Shop:
    """What models are opened for.

    Attributes:
        settings: of the app.
        catalog: open.
        rows: of the catalogue.
    """

    settings: Settings
    catalog: Catalog
    rows: FilterRows

    @property
    def built_in(self) -> bool:
        """Whether the catalogue is that of the built-in books."""
        return self.settings.catalog is None

    def baseline_numbers(self, name: str) -> str:
        """Of a baseline, from the report beside the default model, or that of the built-in books.

        Args:
            name: as hllm.evaluate calls it.
        """
        own = self.settings.model
        found = numbers_in(own / RESULTS, name) if own else NOT_EVALUATED
        if found == NOT_EVALUATED and self.built_in:
            found = numbers_in(BOOKS / RESULTS, name)
        return found


def model_numbers(folder: Path) -> str:
    """Of a model folder, from what lies in it; of the built-in ones, from the report beside."""
    found = numbers_of(folder)
    if found == NOT_EVALUATED and folder.resolve().parent == BOOKS.resolve():
        found = numbers_in(BOOKS / RESULTS, folder.resolve().name)
    return found


def installed_models(
    shop: Shop, hllm: Callable[[], Column], sentences: Path | None, load_hllm: LoadHLLM
) -> list[Installed]:
    """Everything that can be shown, the default HLLM and the baselines first.

    Args:
        shop: what they are opened for.
        hllm: makes the column of the default HLLM.
        sentences: MiniLM embeddings of the catalogue; None: there are none.
        load_hllm: opens a model folder.
    """
    own = shop.settings.model or (BOOKS / "model" if shop.built_in else None)
    numbers = model_numbers(own) if own else NOT_EVALUATED

    def check_hllm() -> None:
        if own is None:
            raise CheckpointError(NO_HLLM)

    found = [Installed("hllm", lambda: _numbered(hllm(), numbers), numbers, check_hllm)]
    found += [_sentence_model(shop, sentences, pooling) for pooling in POOLINGS]
    found += [_count_model(shop, name) for name in _COUNTS]
    folders = [PAIR_OF_SMOLLM2] if shop.built_in else []
    for folder in [*folders, *model_folders(shop.settings.models)]:
        taken = {one.name for one in found}
        found.append(_folder_model(shop, folder, free_name(folder.name, taken), load_hllm))
    return found


def model_folders(chosen: Sequence[Path]) -> list[Path]:
    """Model folders among folders and right below them, at most MOST_FOLDERS.

    Raises:
        CheckpointError: there is no such folder, or nothing in it.
    """
    found: list[Path] = []
    for folder in chosen:
        below = sorted(path.parent for path in folder.glob("*/config.json"))
        here = [folder] if (folder / "config.json").is_file() else below
        if not here:
            raise CheckpointError(
                f"There is no model folder at {folder} or right below it: check --models."
            )
        found += here
    if len(found) > MOST_FOLDERS:
        logger.warning("Of %d model folders the first %d are offered.", len(found), MOST_FOLDERS)
    return found[:MOST_FOLDERS]


def free_name(name: str, taken: Container[str]) -> str:
    """A name for addresses and questions, of few kinds of characters, that no other one has."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)
    plain, number = plain[:60] or "model", 2
    free = plain
    while free in taken:
        free, number = f"{plain}-{number}", number + 1
    return free


def _numbered(column: Column, numbers: str) -> Column:
    column.numbers = numbers
    return column


def _sentence_model(shop: Shop, path: Path | None, pooling: str) -> Installed:
    name, title = f"minilm-{pooling}", POOLINGS[pooling]
    numbers = shop.baseline_numbers(f"MiniLM {pooling}")

    def load() -> ItemRanker:
        check()
        from hllm.baselines.text_recommender import load_text_baseline  # noqa: PLC0415  imports torch

        assert path is not None
        recommender = load_text_baseline(
            path,
            fields=shop.catalog.iter_texts(),
            texts_version=shop.catalog.data_version,
            cache=writable_dir(shop.settings.data_dir),
            pooling=pooling,
            index=shop.settings.index or "auto",
        )
        shop.rows.prepare(recommender)
        return recommender

    def check() -> None:
        if path is None:
            raise StaleEmbeddingsError(NO_SENTENCES)
        if not path.is_file():
            raise StaleEmbeddingsError(
                f"There is no {path.name} of this catalogue: make it with  python -m hllm.sentence"
            )

    def column() -> Column:
        return Column("baseline", title, load, does=BASELINE_DOES, numbers=numbers)

    return Installed(name, column, numbers, check)


def _count_model(shop: Shop, name: str) -> Installed:
    title = _COUNTS[name]
    numbers = shop.baseline_numbers(title)

    def load() -> ItemRanker:
        from hllm.baselines import scored_recommender as kinds  # noqa: PLC0415  imports torch

        kind = kinds.KNNRecommender if name == "item-knn" else kinds.PopularityRecommender
        recommender = kind(interactions_of(shop.catalog, built_in=shop.built_in))
        shop.rows.prepare(recommender)
        return recommender

    def column() -> Column:
        does = KNN_DOES if name == "item-knn" else POPULARITY_DOES
        return Column("baseline", title, load, does=does, numbers=numbers)

    return Installed(
        name, column, numbers, lambda: check_taken(shop.catalog, built_in=shop.built_in)
    )


def _folder_model(shop: Shop, folder: Path, name: str, load_hllm: LoadHLLM) -> Installed:
    """A model folder of either kind; what its config.json says is read again when it is opened."""
    numbers = model_numbers(folder)
    kind = _id_kind(folder)
    if kind:
        return _id_model(shop, folder, name, kind, numbers)

    def column() -> Column:
        made = Column("hllm", f"HLLM {name}", load, does=HLLM_DOES, numbers=numbers)
        made.model_folder = folder
        return made

    def load() -> ItemRanker:
        with _no_paths(folder):
            return load_hllm(folder)

    def check() -> None:
        with _no_paths(folder):
            check_files()

    def check_files() -> None:
        from hllm.model_folder import ModelFolder  # noqa: PLC0415  imports torch
        from hllm.store import ItemEmbeddings  # noqa: PLC0415  imports torch

        opened = ModelFolder(folder)
        _ = opened.shapes  # reads the headers of its weights
        if not (folder / EMBEDDINGS).is_file():
            raise StaleEmbeddingsError(f"{folder.name} has no item embeddings of this catalogue.")
        # Without its checksums, which are compared when it is opened.
        known = set(ItemEmbeddings.load(folder / EMBEDDINGS, verify=False).item_ids)
        missing = sum(item_id not in known for item_id, _ in shop.catalog.iter_texts())
        if missing:
            raise StaleEmbeddingsError(
                f"{folder.name} has no embeddings of {missing:,} of the "
                f"{shop.catalog.num_items:,} items of this catalogue."
            )

    remedy = f"python -m hllm.embed --model {folder.name} --items ITEMS"
    return Installed(name, column, numbers, check, remedy)


@contextmanager
def _no_paths(folder: Path) -> Iterator[None]:
    """Visitors read what is wrong with a model, but not where it lies."""
    try:
        yield
    except HLLMError as error:
        sentence = str(error)
        for path in {str(folder.resolve()), str(folder)}:
            sentence = sentence.replace(path, folder.name)
        raise type(error)(sentence) from error


def _id_kind(folder: Path) -> str:
    """The kind of an ID model; "" of anything else, also of what cannot be read."""
    try:
        values = read_object(folder / "config.json", CONFIG_BYTES)
    except (OSError, ValueError):
        return ""  # whoever opens it says what is wrong
    kind = values.get("kind")
    is_known = values.get("model_type") == ID_MODEL_TYPE and isinstance(kind, str)
    return str(kind) if is_known and kind in ID_TITLES else ""


def _id_model(shop: Shop, folder: Path, name: str, kind: str, numbers: str) -> Installed:
    def check() -> None:
        try:
            check_id_model(read_object(folder / "config.json", CONFIG_BYTES), folder.name)
            known = set(parse_json((folder / "item_ids.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{folder.name} is damaged ({type(error).__name__}): restore it or train again."
            ) from error
        there = sum(item_id in known for item_id, _ in shop.catalog.iter_texts())
        if there < FEWEST_KNOWN * shop.catalog.num_items:
            raise CatalogError(
                f"{ID_TITLES[kind]} knows items by number: it was trained on another catalogue, "
                f"and knows {there:,} of the {shop.catalog.num_items:,} items of this one."
            )

    def load() -> ItemRanker:
        from hllm.baselines.scored_recommender import load_id_recommender  # noqa: PLC0415  imports torch

        check()
        with _no_paths(folder):
            recommender = load_id_recommender(folder)
        shop.rows.prepare(recommender)
        return recommender

    def column() -> Column:
        title = f"{ID_TITLES[kind]} {name}"
        return Column("hllm", title, load, does=ID_DOES, numbers=numbers)

    remedy = f"python -m hllm.train --model_kind {kind} --items ITEMS --interactions INTERACTIONS"
    return Installed(name, column, numbers, check, remedy)
