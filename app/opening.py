"""From settings to a running service: catalogues, models, and what is said if one fails.

What somebody named on the command line must work, or the app does not start. The built-in models
load in the background: the page opens at once, and says so if they cannot be loaded. Every
catalogue is opened at the start, which takes little; the models of all but the first one load when
a visitor chooses it.

The modules of the models are imported in the functions that load them: torch and transformers take
longer to import than everything else to start, and nobody should wait for them to browse.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.books.facts import build_books_catalog, load_books
from app.catalog import Catalog, text_fields
from app.catalog.address import Place
from app.catalog.opening import open_catalog, open_events
from app.columns import Column, load_in_background
from app.errors import CatalogError
from app.event_log import EventLog
from app.filter_rows import FilterRows
from app.installed import NO_HLLM, Shop, free_name, installed_models
from app.loaded import Loaded
from app.models import Models
from app.option_values import BOOKS
from app.picture_files import noted_folder
from app.reloading import is_reloading
from app.service import Service
from app.settings import ROOT, Settings, writable_dir
from app.zerogpu import encode_lent, is_lent
from hllm.atomic import locked
from hllm.errors import CheckpointError, MissingWeightsError, StaleEmbeddingsError

if TYPE_CHECKING:
    from hllm.recommend import ItemRanker

# The best one by docs/results.md; where its weights are not installed, the next. Others in
# assets/books are for --model.
BUILT_IN_MODELS = (ROOT / "assets" / "books" / "model",)
BUILT_IN_BASELINE = ROOT / "assets" / "books" / "baseline.safetensors"
BASELINE_NAME = "baseline.safetensors"
USUAL = ("hllm", "minilm-decay")  # whose picks count

logger = logging.getLogger(__name__)


def open_service(settings: Settings) -> Service:
    """Open the catalogues and start to load the models of the first.

    Returns:
        The service of the first catalogue, which knows those of the others.

    Raises:
        HLLMError: a catalogue, or a model of the first one that was named in the settings, cannot
            be used.
    """
    # At once, not after the modules that would read them are imported.
    for option, path in settings.named_files():
        if not path.exists():
            raise CheckpointError(f"There is no {path}: check {option}.")
    each = settings.of_each()
    loaded = Loaded()
    services: dict[str, Service] = {}
    for one in each:
        service = _open_one(one, loaded, services)
        service.installed = services
        services[service.name] = service
    first = next(iter(services.values()))
    _load_start(settings, first)
    return first


def _load_start(settings: Settings, first: Service) -> None:
    """Load what must work, and start to load the rest of the models that stay."""
    assert first.models is not None
    columns = first.models.columns
    for column, is_named in zip(columns, _named(settings, first.models), strict=True):
        if is_named:
            column.load_or_raise()
    # The baseline first: it loads faster, so that a visitor soon sees one column answer.
    loading = load_in_background([column for column in reversed(columns) if not column.is_loaded])
    if is_reloading(os.environ):
        # After an edit Gradio takes our modules out of sys.modules, and an import that is under way
        # in another thread fails. So nobody sees the page before the models are loaded.
        loading.join()


def _open_one(settings: Settings, loaded: Loaded, others: Mapping[str, Service]) -> Service:
    """Open one catalogue beside those that are open.

    Raises:
        HLLMError: it cannot be used, or has the name of another one.
    """
    catalog = _open_catalog(settings)
    rows = FilterRows(catalog)
    models = _open_models(settings, catalog, rows, loaded, stays=not others)
    service = Service(
        catalog,
        models.columns or None,
        filter_rows=rows,
        events=EventLog(open_events(catalog.place), settings.events_days),
        covers=_picture_folder(settings, catalog),
        built_in=settings.catalog is None,
        models=models,
        counts_picks=models.default == USUAL,
        name=free_name(_name_of(settings, catalog), others),
    )
    models.on_let_go = service.let_go
    same = next((other for other in others.values() if other.key == service.key), None)
    if same is not None:
        raise CatalogError(
            f"{same.catalog.place} and {catalog.place} are both called {catalog.name!r}: browsers "
            "would mix their histories up. Import one of them anew with another --name."
        )
    return service


def _name_of(settings: Settings, catalog: Catalog) -> str:
    """A name for addresses, where little but ASCII can be read."""
    if settings.catalog is None:
        return BOOKS
    if catalog.name.isascii():
        return catalog.name
    place = catalog.place
    return place.stem if isinstance(place, Path) else place.name


def _open_models(
    settings: Settings, catalog: Catalog, rows: FilterRows, loaded: Loaded, *, stays: bool
) -> Models:
    shop = Shop(settings, catalog, rows)

    def load(folder: Path) -> ItemRanker:
        return _load_hllm(folder, replace(settings, embeddings=None), catalog, rows)

    installed = installed_models(
        shop,
        lambda: _hllm_column(settings, catalog, rows),
        settings.baseline or _beside_model(settings),
        load,
    )
    chosen = (settings.left or USUAL[0], settings.right or USUAL[1])
    return Models(installed, chosen, loaded, stays=stays)


def _named(settings: Settings, models: Models) -> list[bool]:
    """Of each column, whether somebody has named its model: then it must work."""
    named = [settings.left is not None, settings.right is not None]
    paths = {"hllm": settings.model, "minilm-decay": settings.baseline}
    return [
        is_named or paths.get(name) is not None
        for is_named, name in zip(named, models.default, strict=True)
    ]


def _picture_folder(settings: Settings, catalog: Catalog) -> Path | None:
    """The folder of --covers, or else the one that was given at the import."""
    if settings.covers is not None:
        if not settings.covers.is_dir():
            raise CatalogError(f"There is no folder {settings.covers}: check --covers.")
        return settings.covers
    folder = noted_folder(catalog.covers)
    if catalog.covers and folder is None:
        logger.warning(
            "Covers are drawn: the folder of pictures that %s was imported with is not on this "
            "machine, or not the same any more. Say where they are with --covers FOLDER.",
            catalog.place,
        )
    return folder


def _open_catalog(settings: Settings) -> Catalog:
    if settings.catalog is not None:
        catalog = open_catalog(settings.catalog)
        catalog.check(quick=True)
        _take_over_events(catalog.place)
        return catalog
    path = writable_dir(settings.data_dir) / "books.db"
    with locked(path.parent):  # of apps that start at once, one makes it
        _take_over_events(path)  # before it is made anew
        if not _is_current(path):
            build_books_catalog(path)
    return Catalog.open(path)


def _take_over_events(catalog: Place) -> None:
    """Earlier versions kept events in the catalogue's file: move them to their own."""
    if not isinstance(catalog, Path) or not catalog.exists():
        return
    events = open_events(catalog)
    try:
        if count := events.take_over(catalog):
            logger.info("%d events of %s are now in %s.", count, catalog, events.path)
    except CatalogError as error:
        logger.warning("%s", error)
    finally:
        events.close()


def _is_current(path: Path) -> bool:
    """Whether the built-in catalogue was made before, from the same facts."""
    if not path.exists():
        return False
    try:
        catalog = Catalog.open(path)
        catalog.check(quick=True)
        texts = dict(catalog.iter_texts())
    except CatalogError as error:
        logger.warning("The catalogue of the built-in books is made anew: %s", error)
        return False
    return texts == {book.item_id: text_fields(book.as_item()) for book in load_books()}


def _hllm_column(settings: Settings, catalog: Catalog, rows: FilterRows) -> Column:
    folders = [settings.model] if settings.model else []
    if settings.catalog is None and (settings.model is None or _is_built_in(settings.model)):
        folders += BUILT_IN_MODELS

    def load() -> ItemRanker:
        if not folders:
            raise CheckpointError(NO_HLLM)
        for folder in folders[:-1]:
            try:
                return load_from(folder)
            except MissingWeightsError as error:
                logger.warning("%s", error)
                column.note = f"{error}; until then a smaller model answers."
        return load_from(folders[-1])

    def load_from(folder: Path) -> ItemRanker:
        own = settings.embeddings if folder == folders[0] else None
        recommender = _load_hllm(folder, replace(settings, embeddings=own), catalog, rows)
        column.model_folder, column.embeddings = folder, own
        return recommender

    column = Column("hllm", "HLLM", load)
    return column


def _is_built_in(folder: Path) -> bool:
    return folder.resolve().parent == BUILT_IN_MODELS[-1].parent


def _load_hllm(folder: Path, settings: Settings, catalog: Catalog, rows: FilterRows) -> ItemRanker:
    from hllm.recommend import load_hllm  # noqa: PLC0415  imports torch

    def load(embeddings: Path | None) -> ItemRanker:
        return load_hllm(
            folder,
            embeddings,
            fields=catalog.iter_texts(),
            texts_version=catalog.data_version,
            precision=settings.precision or "auto",
            index=settings.index or "auto",
            cache=writable_dir(settings.data_dir),
            encode_elsewhere=encode_lent if is_lent() else None,
        )

    try:
        recommender = load(settings.embeddings)
    except StaleEmbeddingsError as error:
        if not is_lent():
            raise
        logger.info("%s Until then a GPU that is lent embeds the catalogue.", error)
        recommender = load(_embed_on_lent_gpu(folder, settings, catalog))
    for item in catalog.popular(1):  # the first answer of a model is slow: not for a visitor
        recommender.recommend([item.item_id], top_k=1)
    rows.prepare(recommender)
    return recommender


def _embed_on_lent_gpu(folder: Path, settings: Settings, catalog: Catalog) -> Path:
    """Bring the embeddings of a catalogue up to date, in a file of our own."""
    from hllm.embed import embed_elsewhere  # noqa: PLC0415  imports torch
    from hllm.model_folder import ModelFolder  # noqa: PLC0415  the same

    source = ModelFolder(folder)
    name = f"embeddings-{free_name(_name_of(settings, catalog), ())}-{source.fingerprint[:16]}"
    output = writable_dir(settings.data_dir) / f"{name}.safetensors"
    embed_elsewhere(source, catalog.iter_texts(), output, encode_lent)
    return output


def _beside_model(settings: Settings) -> Path | None:
    own = settings.model / BASELINE_NAME if settings.model is not None else None
    if settings.catalog is None and (own is None or not own.exists()):
        return BUILT_IN_BASELINE  # the catalogue is that of the built-in books
    return own
