"""From names to files that the app opens: asked first, then fetched, then made of what came."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.catalog import Catalog
from app.errors import DownloadError
from app.get.make import (
    catalog_is_made,
    check_language_model,
    got_by_hand,
    make_catalog,
    make_model,
    make_pair,
    pair_is_current,
)
from app.get.names import Library, Wanted, check_name, is_name, wanted, with_paths
from app.get.plan import Part, data_part, describe, disk_bytes, free_bytes, model_part, pair_part
from app.get.registry import DataSet, Model, Registry, open_registry
from app.option_values import BOOKS
from app.settings import Settings
from app.steps import say

YES = ("y", "yes")


@dataclass(frozen=True, kw_only=True)
class How:
    """How to go about it.

    Attributes:
        yes: do not ask.
        mirror: see app.get.addresses.
        splits: fetch published splits, too.
    """

    yes: bool = False
    mirror: str = ""
    splits: bool = False


def prepared(settings: Settings) -> Settings:
    """The settings with paths in the place of names, once what they name is there.

    Raises:
        HLLMError: it cannot be had, or nobody said yes.
    """
    registry = open_registry()
    hllms = [model.name for model in registry.models.values() if model.preset]
    for one in settings.of_each():
        check_name(one.catalog, "--catalog", [BOOKS, *registry.data], registry)
        check_name(one.model, "--model", hllms, registry)
    named = [
        one
        for one in settings.of_each()
        if is_name(one.catalog, registry) or is_name(one.model, registry)
    ]
    if named:
        _check_paths(settings, registry)
    for one in named:
        library = Library.of(settings.data_dir)
        found = wanted(one.catalog, one.model, library, registry)
        get(found, (), library, registry, How(yes=settings.yes))
    return with_paths(settings)


def _check_paths(settings: Settings, registry: Registry) -> None:
    """Say what does not exist before anybody is asked to wait for hours."""
    catalogs = (("--catalog", one.catalog) for one in settings.of_each())
    for option, path in (*catalogs, *settings.named_files()):
        if isinstance(path, Path) and not is_name(path, registry) and not path.exists():
            raise DownloadError(f"There is no {path}: check {option}. Nothing was fetched.")


def get(
    found: Wanted, bases: Sequence[Model], library: Library, registry: Registry, how: How
) -> None:
    """Get what is wanted and not there.

    Args:
        found: a data set, an HLLM, or both.
        bases: language models to train with.
        library: where everything goes.
        registry: of all names.
        how: whether to ask, and so on.

    Raises:
        HLLMError: it cannot be had, or nobody said yes.
    """
    if found.data and found.data.by_hand and not catalog_is_made(found.data, library):
        got_by_hand(found.data, library)
    parts = _parts(found, bases, library, registry, how)
    if any(part.missing or part.made_bytes for part in parts):
        _ask([one for one in (found.data, found.model, *bases) if one], parts, library, how)
    _fetch(parts, library, how)
    for model in bases:
        check_language_model(model, library)
    if found.data:
        make_catalog(found.data, library)
    if found.model:
        make_model(found.model, library, registry)
    if found.model and found.catalog and found.folder:
        make_pair(found.model, found.catalog, found.folder, library)


def _parts(
    found: Wanted, bases: Sequence[Model], library: Library, registry: Registry, how: How
) -> list[Part]:
    parts = [model_part(model, library, registry) for model in bases]
    if found.data:
        done = catalog_is_made(found.data, library)
        parts.append(data_part(found.data, library, splits=how.splits, done=done))
    if found.model:
        parts.append(model_part(found.model, library, registry))
    if found.model and found.catalog and found.folder:
        if found.data and not catalog_is_made(found.data, library):
            parts.append(pair_part(found.model, found.data.kept))
        elif not pair_is_current(found.folder, found.catalog):
            with Catalog.open(found.catalog) as catalog:
                parts.append(pair_part(found.model, catalog.num_items))
    return parts


def _ask(entries: Sequence[DataSet | Model], parts: list[Part], library: Library, how: How) -> None:
    """Say what it takes, and go on only with a yes."""
    say(describe(parts, library.folder))
    for entry in entries:
        say(f"{entry.name}: licence {entry.licence}; see {entry.page}")
        if entry.unconfirmed:
            say(f"  not confirmed: {'; '.join(entry.unconfirmed)}")
    needed, free = disk_bytes(parts), free_bytes(library.folder)
    if free < needed:
        raise DownloadError(
            f"There is not enough disk: {needed / 1e9:,.1f} GB are needed in {library.folder} and "
            f"{free / 1e9:,.1f} GB are free. Free some, or choose another disk with --data-dir."
        )
    if how.yes:
        return
    if not sys.stdin.isatty():
        raise DownloadError("Nothing was downloaded: to go on, give the same command with --yes.")
    try:
        answer = input("Go on? [y/N] ")
    except EOFError:  # Ctrl-D
        answer = ""
    if answer.strip().lower() not in YES:
        raise DownloadError("Nothing was downloaded.")


def _fetch(parts: Sequence[Part], library: Library, how: How) -> None:
    missing = [file for part in parts for file in part.missing]
    if not missing:
        return
    # Here alone: nothing else that runs imports what can ask other machines.
    from app.get.download import Downloader  # noqa: PLC0415  the network, once somebody said yes

    downloader = Downloader(library.folder, how.mirror)
    try:
        for file in missing:
            downloader.fetch(file.remote, file.path)
    finally:
        downloader.close()
