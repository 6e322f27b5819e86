"""What is made of downloaded files: catalogues, model folders, embeddings; each once.

Each step is a command that can be given by hand, too, and a step whose result is complete is not
done again, so that the same command goes on after a stop.
"""

import json
import os
import shutil
from pathlib import Path

from app.build_record import FILE, BuildRecord
from app.catalog import Catalog
from app.errors import DownloadError, IngestError
from app.get.names import Library
from app.get.plan import data_files, model_files
from app.get.registry import DataSet, Model, Registry
from app.steps import Step, run_step, say
from hllm.atomic import atomic_files, atomic_text

EMBEDDINGS, BASELINE = "embeddings.safetensors", "baseline.safetensors"
PAIR = "pair.json"
CONFIG = "config.json"


def csv_pair(data: DataSet, library: Library) -> tuple[Path, Path]:
    """The items and interactions of a catalogue of the library, as training reads them."""
    folder = library.home(data.name) / "data"
    return folder / "items.csv", folder / "interactions.csv"


def catalog_is_made(data: DataSet, library: Library) -> bool:
    """Whether a data set was imported to its end; its downloads may be deleted then."""
    try:
        record = json.loads((library.home(data.name) / FILE).read_text(encoding="utf-8"))
        done = "export" in record["done"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    files = (library.catalog(data.name), *csv_pair(data, library))
    return done and all(path.exists() for path in files)


def make_catalog(data: DataSet, library: Library) -> None:
    """Import a data set, and export it for training.

    Raises:
        HLLMError: files that a person gets are not there, or the import cannot go on.
    """
    if catalog_is_made(data, library):
        return
    if data.by_hand:
        items, interactions = got_by_hand(data, library)
    else:
        items, interactions = (file.path for file in data_files(data, library))
    home, catalog = library.home(data.name), library.catalog(data.name)
    record = BuildRecord.open(
        home, {"items": [items], "interactions": [interactions]}, [data.format, *data.options]
    )
    imported = ("app.ingest", data.format, "--name", data.title, *data.options,
                "--catalog", str(catalog), "--items", str(items),
                "--interactions", str(interactions))  # fmt: skip
    exported = ("app.ingest", "export", "--catalog", str(catalog), "--output", str(home / "data"))
    for step in (
        Step("import", (catalog,), imported),
        Step("export", csv_pair(data, library), exported),
    ):
        if not record.is_done(step.name):
            record.begin(step.name)
            _run(step)
            record.finish(step.name)


def got_by_hand(data: DataSet, library: Library) -> tuple[Path, Path]:
    """The files of a data set that has no plain address.

    Raises:
        DownloadError: they are not there; says where a person gets them and where to put them.
    """
    folder = library.downloads(data.name)
    items, interactions = folder / "items.csv", folder / "interactions.csv"
    if items.exists() and interactions.exists():
        return items, interactions
    folder.mkdir(parents=True, exist_ok=True)
    where = data.by_hand.replace("{items}", str(items))
    where = where.replace("{interactions}", str(interactions))
    raise DownloadError(f"{where} Then give the same command again.")


def make_model(model: Model, library: Library, registry: Registry) -> None:
    """Convert a published HLLM into a model folder.

    Raises:
        HLLMError: its file is not what it should be.
    """
    folder = library.home(model.name)
    if folder.exists():  # it appears when it is complete
        return
    weights = model_files(model, library, registry)[-1].path
    command = ("hllm.checkpoint", "convert", str(weights), str(folder), "--preset", model.preset,
               "--item-base", str(library.downloads(model.base)),
               "--dtype", model.dtype)  # fmt: skip
    _run(Step("conversion", (folder / CONFIG,), command))
    say(f"{weights} is no longer needed: it may be deleted.")


def check_language_model(model: Model, library: Library) -> None:
    """Read the configuration, tokenizer and headers of a language model within the closed schema.

    Raises:
        CheckpointError: something in it is not allowed or damaged.
    """
    if not model.weights:
        return
    from hllm.published.reference_layout import language_model_config  # noqa: PLC0415  imports torch
    from hllm.schema.tokenizers import read_tokenizer  # noqa: PLC0415  the same
    from hllm.weights.files import read_shapes  # noqa: PLC0415  the same

    folder = library.home(model.name)
    read_tokenizer(folder, language_model_config(folder).vocab_size)
    say(
        f"{folder}: {len(read_shapes(folder)):,} tensors. To train with it:\n"
        f"  python -m hllm.train --item_llm {folder} --user_llm {folder} ..."
    )


def make_pair(model: Model, catalog: Path, folder: Path, library: Library) -> None:
    """Make a folder with a model's files and its embeddings of a catalogue.

    Args:
        model: an HLLM that was converted.
        catalog: file of the catalogue.
        folder: to make.
        library: where the model is.
    """
    if pair_is_current(folder, catalog):
        return
    with Catalog.open(catalog) as opened:
        version = opened.data_version
    _link(library.home(model.name), folder)
    items = folder / "data" / "items.csv"
    export = ("app.ingest", "export", "--catalog", str(catalog), "--output", str(items.parent))
    both = ("--model", str(folder), "--items", str(items))
    _run(Step("export", (items,), export))
    _run(Step("embeddings", (folder / EMBEDDINGS,), ("hllm.embed", *both)))
    _run(Step("baseline", (folder / BASELINE,), ("hllm.sentence", *both)))
    shutil.rmtree(items.parent)
    with atomic_text(folder / PAIR) as file:
        file.write(json.dumps({"data_version": version}) + "\n")


def pair_is_current(folder: Path, catalog: Path) -> bool:
    """Whether a model's embeddings were made, of a catalogue as it is now."""
    try:
        made_of = json.loads((folder / PAIR).read_text(encoding="utf-8"))["data_version"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not all((folder / name).exists() for name in (CONFIG, EMBEDDINGS, BASELINE)):
        return False
    with Catalog.open(catalog) as opened:
        return bool(made_of == opened.data_version)


def _link(model: Path, folder: Path) -> None:
    """The files of a model in another folder, without a second copy where the disk allows it."""
    with atomic_files(folder, opened_by=CONFIG) as temporary:
        for path in model.iterdir():
            if path.is_file():
                try:
                    os.link(path, temporary / path.name)
                except OSError:  # a file system without hard links
                    shutil.copyfile(path, temporary / path.name)


def _run(step: Step) -> None:
    say(f"\n{step.name}")
    code = run_step(step)
    if code or not all(path.exists() for path in step.makes):
        raise IngestError(f"The step {step.name} was not finished: see what it said above.")
