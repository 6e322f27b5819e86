"""The demo as plain files, without any server: python -m app.export_static --help.

Catalogue, covers, search, embeddings and the User LLM as ONNX; the browser does the rest with the
page's own scripts (assets/page/static.js).
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import CatalogError
from app.option_values import catalog_place
from app.settings import Settings
from hllm.atomic import atomic_folder
from hllm.shell import CommandParser, command

MARKER = "hllm-static.json"
FORMAT = "hllm-static/1"
_DESCRIPTION = """\
Write the page as a folder of plain files that needs no server: the models run in the browser.

It opens from any host of plain files, in any folder of it: python -m http.server, GitHub Pages, a
static Hugging Face Space (README.md has the lines that make it one). Every file is below 10 MB. An
older export in OUT is replaced when the new one is whole; another folder is not touched.
"""
_EPILOG = """\
examples:
  python -m app.export_static demo
      the built-in books
  python -m app.export_static demo --catalog games.db --model runs/games
      your own: up to 20,000 items, a Llama-shaped User LLM of up to 20 million parameters
  cd demo && python -m http.server
      open http://localhost:8000
"""


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = CommandParser(
        prog="python -m app.export_static",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path, metavar="OUT", help="folder to make, or to make anew")
    options = {
        "catalog": ("FILE", "catalogue to show (default: the built-in books)"),
        "model": ("FOLDER", "HLLM to recommend with (default: the built-in model)"),
        "embeddings": ("FILE", "item embeddings (default: embeddings.safetensors of MODEL)"),
        "baseline": ("FILE", "baseline embeddings (default: baseline.safetensors of MODEL)"),
        "covers": ("FOLDER", "pictures of the items (default: those of the import, else drawn)"),
        "data-dir": ("FOLDER", "where to write meanwhile (default: data/, else a temporary one)"),
    }
    for name, (metavar, text) in options.items():
        kind = catalog_place if name == "catalog" else Path
        parser.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Write the page; returns the exit code."""
    parser = build_parser()
    args = vars(parser.parse_args(argv))
    if args["embeddings"] and not args["model"]:
        parser.error("--embeddings belongs to a model: give the model's folder with --model, too.")
    out = args.pop("out").resolve()
    check_target(out)
    settings = Settings(**args, precision="fp32", events_days=0)

    def tell(sentence: str) -> None:
        sys.stdout.write(sentence + "\n")
        sys.stdout.flush()

    from app.static_space.export import write_static  # noqa: PLC0415  the catalogue: not for --help

    with replacing(out) as folder:
        write_static(folder, settings, tell)
        noted = {"format": FORMAT, "files": sorted(path.name for path in folder.iterdir())}
        (folder / MARKER).write_text(json.dumps(noted), "utf-8")
        files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        largest, size = max(files.items(), key=lambda pair: pair[1])
        summary = (
            f"{out}: {len(files):,} files, {sum(files.values()) / 1e6:,.1f} MB; the largest is "
            f"{largest.relative_to(folder)}, {size / 1e6:,.1f} MB."
        )
    tell(f"{summary} To open it:  cd {out} && python -m http.server")
    return 0


def check_target(out: Path) -> None:
    """Whether a page may be written there.

    Raises:
        CatalogError: something else is there.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise CatalogError(f"{out} is a file: name a folder.")
    there = {path.name for path in out.iterdir()}
    if not there:
        return
    try:
        noted = json.loads((out / MARKER).read_text("utf-8"))
        own = set(noted["files"]) if noted["format"] == FORMAT else set()
    except (OSError, ValueError, TypeError, KeyError):
        own = set()
    if there - own - {MARKER}:
        name = min(there - own - {MARKER})
        raise CatalogError(
            f"{out} is not empty, and {name} in it is not of an export: name another folder."
        )


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of `out` when the block succeeds.

    Args:
        out: a folder that check_target has passed, or none yet.
    """
    new, old = (out.with_name(f".{out.name}.{what}") for what in ("new", "old"))
    for left in (new, old):
        if (left / MARKER).exists():  # by a kill between two renames
            shutil.rmtree(left)
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists() or not any(out.iterdir()):
        with atomic_folder(out) as folder:
            yield folder
        return
    with atomic_folder(new) as folder:
        yield folder
    out.rename(old)
    new.rename(out)
    shutil.rmtree(old)


if __name__ == "__main__":
    sys.exit(main())
