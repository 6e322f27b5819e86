"""Data sets and models by name: python -m app.get --help."""

import argparse
import shlex
import sys
import textwrap
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from app.get.names import Library, Wanted
from app.get.plan import split_files
from app.get.registry import DataSet, Model, Registry, open_registry
from app.steps import say
from hllm.errors import did_you_mean
from hllm.shell import CommandParser, command

LIST_WIDTH = 80
_DESCRIPTION = """\
Get known data sets and models by name. Says what is to be downloaded, how much disk and time all
of it needs, under which licence, and what is not confirmed, and asks; --yes answers. Then it
downloads, imports, converts and embeds. Stopped, it goes on when the same command is given again.

A data set becomes a catalogue, an HLLM a model folder, and both together a page: the item
embeddings of that catalogue, and the baseline's. A language model is a folder to train with.

Nothing else here ever downloads anything: this command, and app.py with one of these names.
"""
_EPILOG = """\
examples:
  python -m app.get --list
  python -m app.get --list games
  python -m app.get amazon-games-2023 hllm-1b-books --yes
      then: python app.py --catalog amazon-games-2023 --model hllm-1b-books
  python -m app.get amazon-games-2023 --splits
      the published split, too, for python -m hllm.train --split files
  python -m app.get qwen3-0.6b
      a folder for --item_llm and --user_llm of python -m hllm.train
  python -m app.get pixelrec-50k
      says where a person gets it and where to put it; then it goes on from there
"""


def build_parser() -> CommandParser:
    """The command line."""
    parser = CommandParser(
        prog="python -m app.get",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a data set, an HLLM, both, or language models")
    shown = "show all names, or those with a NAME in them, and which of them are here"
    add("--list", action="store_true", help=shown)
    add("--yes", action="store_true", help="do not ask")
    add("--splits", action="store_true", help="get the data set's published split, too")
    add("--mirror", default="", metavar="URL",
        help="fetch from URL/HOST/PATH in the place of https://HOST/PATH")  # fmt: skip
    add("--data-dir", type=Path, metavar="FOLDER",
        help="where to write: FOLDER/library (default: as app.py, data/library)")  # fmt: skip
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Get what is named; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(argv)
    registry, library = open_registry(), Library.of(options.data_dir)
    if options.list:
        _list(registry, library, options.names)
        return 0
    if not options.names:
        parser.error("name what to get, or give --list")
    data, hllm, bases = _sorted(parser, options.names, registry)
    if options.splits and not (data and data.splits):
        what = f"{data.name} has no published split" if data else "no data set is named"
        one = next((known.name for known in registry.data.values() if known.splits), "none")
        parser.error(f"--splits: {what} that is known here: leave it out, or name a data set that "
                     f"has one, such as {one}")  # fmt: skip
    from app.get.prepare import How, get  # noqa: PLC0415  the catalogue: not for --help

    catalog = library.catalog(data.name) if data else None
    folder = library.pair(catalog, hllm.name) if catalog and hllm else None
    how = How(yes=options.yes, mirror=options.mirror, splits=options.splits)
    get(Wanted(data, hllm, catalog, folder), bases, library, registry, how)
    _say_what_next(options, data, hllm, library)
    return 0


def _sorted(
    parser: CommandParser, names: Sequence[str], registry: Registry
) -> tuple[DataSet | None, Model | None, list[Model]]:
    """The data set, the HLLM and the language models among some names."""
    for name in names:
        if name not in registry.data and name not in registry.models:
            near = did_you_mean(name, [*registry.data, *registry.models])
            parser.error(f"{name} is not known{near}: --list shows all names")
    data = [registry.data[name] for name in names if name in registry.data]
    models = [registry.models[name] for name in names if name in registry.models]
    hllms = [model for model in models if model.preset]
    if len(data) > 1 or len(hllms) > 1:
        parser.error("give one data set and one HLLM at a time")
    bases = [model for model in models if not model.preset]
    return (data[0] if data else None), (hllms[0] if hllms else None), bases


def _say_what_next(
    options: argparse.Namespace, data: DataSet | None, hllm: Model | None, library: Library
) -> None:
    where = ["--data-dir", str(options.data_dir)] if options.data_dir else []
    if data:
        model = ["--model", hllm.name] if hllm else []
        page = shlex.join(["--catalog", data.name, *model, *where])
        say(f"\nOpen the page:\n  python app.py {page}")
        if options.splits and data.splits:
            names = ("--interactions", "--valid_interactions", "--test_interactions")
            files = [file.path for file in split_files(data, library)]
            split = " ".join(f"{name} {file}" for name, file in zip(names, files, strict=True))
            items = library.home(data.name) / "data" / "items.csv"
            say(f"Train on the published split:\n  python -m hllm.train --split files {split} "
                f"--items {items} ...")  # fmt: skip
    elif hllm:
        say(f"\n{library.home(hllm.name)} is the model folder: give app.py a --catalog with it.")


def _list(registry: Registry, library: Library, words: Sequence[str]) -> None:
    """One line for each name that has one of some words in it, or in its title; none: all."""
    entries: list[DataSet | Model] = [*registry.data.values(), *registry.models.values()]
    wanted = [word.lower() for word in words]
    found = [
        entry
        for entry in entries
        if not wanted or any(word in f"{entry.name} {entry.title}".lower() for word in wanted)
    ]
    if not found:
        near = did_you_mean(" ".join(words), [entry.name for entry in entries])
        say(f"No name has {' or '.join(words)} in it{near}: --list alone shows all names.")
    for licence, group in groupby(found, attrgetter("licence")):
        say(_lines(f"licence: {licence}", ""))
        for entry in group:
            mark = "here" if library.home(entry.name).exists() else ""
            say(_lines(f"  {entry.name:25} {_size_of(entry):>7} {mark:4} {entry.title}", " " * 41))


def _lines(text: str, indent: str) -> str:
    return textwrap.fill(text, LIST_WIDTH, subsequent_indent=indent, drop_whitespace=False)


def _size_of(entry: DataSet | Model) -> str:
    if isinstance(entry, DataSet):
        files = [one for one in (entry.items, entry.interactions) if one]
        if not files:
            return "by hand"
    else:
        files = [*entry.files, *entry.weights]
    size = sum(one.size for one in files)
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
