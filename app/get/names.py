"""Names in the place of paths: where what is known by name lies on the disk."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from app.build_record import CATALOG
from app.catalog.address import Place
from app.errors import CatalogError
from app.get.registry import DataSet, Model, Registry, open_registry
from app.option_values import Chosen
from app.settings import Settings, writable_dir
from hllm.errors import did_you_mean

LIBRARY = "library"


@dataclass(frozen=True)
class Library:
    """The folder in which everything lies that was got by name.

    Attributes:
        folder: data/library, or library in the folder of --data-dir.
    """

    folder: Path

    @classmethod
    def of(cls, data_dir: Path | None) -> "Library":
        """The library of a data folder.

        Raises:
            CatalogError: the folder cannot be written.
        """
        return cls(writable_dir(data_dir) / LIBRARY)

    def downloads(self, name: str) -> Path:
        """Folder of the files of a data set or model as they were published."""
        return self.folder / "downloads" / name

    def home(self, name: str) -> Path:
        """Folder of what was made of them."""
        return self.folder / name

    def catalog(self, name: str) -> Path:
        """The catalogue of a data set."""
        return self.home(name) / CATALOG

    def pair(self, catalog: Path, model: str) -> Path:
        """Folder of a model with its embeddings of a catalogue.

        Args:
            catalog: a file, of the library or not.
            model: name of an HLLM.
        """
        if catalog.parent.parent == self.folder:
            return catalog.parent / model
        # Two catalogues of the same file name are two.
        mark = hashlib.sha256(str(catalog.resolve()).encode()).hexdigest()[:8]
        return self.home("own") / f"{catalog.stem}-{mark}" / model


@dataclass(frozen=True)
class Wanted:
    """What --catalog and --model ask for by name.

    Attributes:
        data: the data set; None if the catalogue is a file.
        model: the HLLM; None if it is a folder, or there is none.
        catalog: the catalogue's file, which may be still to make; None: it is none.
        folder: of the model; None if `model` is.
    """

    data: DataSet | None
    model: Model | None
    catalog: Path | None
    folder: Path | None


def is_name(value: Place | None, registry: Registry) -> bool:
    """Whether a value means an entry of the registry: a file or folder of that name comes first."""
    if not isinstance(value, Path) or value.exists():
        return False
    return str(value) in registry.data or str(value) in registry.models


def check_name(value: Place | None, option: str, meant: Iterable[str], registry: Registry) -> None:
    """Refuse what is neither there nor known, if it could be a name: it has neither "/" nor ".db".

    Args:
        value: of the option.
        option: --catalog or --model.
        meant: names that make sense there.
        registry: of all names.

    Raises:
        CatalogError: says what may have been meant, and where all names are shown.
    """
    if not isinstance(value, Path) or value.exists() or is_name(value, registry):
        return
    name = str(value)
    if value.name == name and value.suffix != Path(CATALOG).suffix:
        raise CatalogError(
            f"There is no {name} here, and no such name is known{did_you_mean(name, meant)}: check "
            f"{option} (python -m app.get --list shows all names)."
        )


def wanted(
    catalog: Place | None, model: Path | None, library: Library, registry: Registry | None = None
) -> Wanted:
    """What is asked for by name, and where it lies.

    Args:
        catalog: a catalogue's file, or the name of a data set.
        model: a model folder, or the name of an HLLM.
        library: where what has a name lies.
        registry: None for the project's own.

    Raises:
        CatalogError: a name of another kind, or an HLLM without a catalogue.
    """
    known = registry or open_registry()
    data = known.data.get(str(catalog)) if is_name(catalog, known) else None
    hllm = known.models.get(str(model)) if is_name(model, known) else None
    if is_name(catalog, known) and data is None:
        raise CatalogError(f"{catalog} is a model: give it with --model.")
    if is_name(model, known) and hllm is None:
        raise CatalogError(f"{model} is a data set: give it with --catalog.")
    own = catalog if isinstance(catalog, Path) else None
    file = library.catalog(data.name) if data else own
    if hllm is None:
        return Wanted(data, None, file, None)
    if not hllm.preset:
        raise CatalogError(
            f"{hllm.name} is a language model to train with, not an HLLM: fetch it with  python -m "
            f"app.get {hllm.name}  and give its folder to python -m hllm.train (--item_llm)."
        )
    if file is None:
        raise CatalogError(
            f"--model {hllm.name} needs a catalogue of its own to embed, not the built-in books or "
            "a database: give --catalog, too, a file or a name (python -m app.get --list)."
        )
    return Wanted(data, hllm, file, library.pair(file, hllm.name))


def with_paths(settings: Settings) -> Settings:
    """The settings with paths in the place of names; fetches nothing.

    Raises:
        CatalogError: see `wanted`.
    """
    catalog, model = paths_of(settings.catalog, settings.model, settings.data_dir)
    others = tuple(
        Chosen(*paths_of(one.catalog, one.model, settings.data_dir)) for one in settings.others
    )
    return replace(settings, catalog=catalog, model=model, others=others)


def paths_of(
    catalog: Place | None, model: Path | None, data_dir: Path | None
) -> tuple[Place | None, Path | None]:
    """A catalogue and its model with paths in the place of names; fetches nothing.

    Args:
        catalog: see `wanted`.
        model: see `wanted`.
        data_dir: see app.settings.writable_dir.

    Raises:
        CatalogError: see `wanted`.
    """
    registry = open_registry()
    if not (is_name(catalog, registry) or is_name(model, registry)):
        return catalog, model
    found = wanted(catalog, model, Library.of(data_dir), registry)
    return found.catalog or catalog, found.folder or model
