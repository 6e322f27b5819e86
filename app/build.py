"""From files to a page in one command: python -m app.build --help.

A conductor: every step is a command that can be given by hand, too, and is shown before it runs.
Here stands only their order, and which of them are done.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.build_record import CATALOG, BuildRecord
from app.errors import IngestError
from app.ingest.__main__ import build_parser
from app.steps import Step, run_step, say
from hllm.atomic import atomic_text
from hllm.shell import CommandParser, command

AUTO = "auto"
BASELINES = "popularity,item-knn,minilm-decay"
MAX_EVAL_USERS = 20_000
FORMATS = ("table", "hllm", "amazon2014", "amazon2018", "amazon2023", "pixelrec")
_DESCRIPTION = """\
From a data set to a page of recommendations: imports the files into a catalogue, chooses what the
model reads and how it is trained (and says why), trains it, blends it with the text and with
item-to-item neighbours, embeds the items for the baseline, evaluates all of them, and prints the
command that opens the page.

Every step is shown as the command that it is. A step that is done is skipped: after a stop, give
the same command again. An output folder belongs to one data set; others are refused.

Options that are not listed here are those of the import, for example --map title=name or
--k-core 5: see python -m app.ingest FORMAT --help.
"""
_EPILOG = """\
examples:
  python -m app.build --items films.csv --interactions ratings.csv --output runs/films \\
      --map item_id=movieId,title=name --map-interactions item_id=movieId,user_id=who
  python -m app.build --format amazon2018 --items meta_Games.json.gz \\
      --interactions Games_5.json.gz --output runs/games
  python -m app.build --format hllm --items items.csv.gz --interactions interactions.csv.gz \\
      --output runs/games --preset assets/presets/games.json
"""


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m app.build",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # options of the import must reach it as they are
    )
    add = parser.add_argument
    add("--items", type=Path, nargs="+", required=True, metavar="FILE", help="files with the items")
    add("--interactions", type=Path, nargs="+", required=True, metavar="FILE",
        help="files with who used what when")  # fmt: skip
    add("--output", type=Path, required=True, metavar="FOLDER",
        help="folder for the catalogue, the model and the results")  # fmt: skip
    add("--format", choices=FORMATS, default="table",
        help="default: table, which is csv, tsv or parquet with names of columns")  # fmt: skip
    add("--preset", default=AUTO, metavar="FILE",
        help="JSON file with options of the training; default: chosen from the data")  # fmt: skip
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the steps that are not done; returns 0, 2 for an error, 130 if interrupted."""
    parser = _parser()
    options, import_options = parser.parse_known_args(argv)
    _check_import_options(parser, options.format, import_options)
    return _build(options, import_options)


def _check_import_options(
    parser: CommandParser, format_name: str, import_options: Sequence[str]
) -> None:
    """End the command for options that the import has not, or that are the build's own."""
    own = Path("own")
    # The import allows abbreviations, so that only its parser knows what an option means.
    found = build_parser().parse_args([format_name, f"--catalog={own}", *import_options])
    if found.catalog != own:
        parser.error("--catalog is not for the build: it makes catalog.db in --output")
    if found.items or found.interactions:
        parser.error("write --items and --interactions in full")
    if found.dry_run:
        parser.error("--dry-run is the import's alone: give it to python -m app.ingest")


def _build(options: argparse.Namespace, import_options: list[str]) -> int:
    folder: Path = options.output
    files = {"items": options.items, "interactions": options.interactions}
    if options.preset != AUTO:
        files["preset"] = [Path(options.preset)]
    record = BuildRecord.open(folder, files, [options.format, *import_options])
    steps = _steps(options, import_options)
    for number, step in enumerate(steps, start=1):
        title = f"[{number}/{len(steps)}] {step.name}"
        if record.is_done(step.name) and all(path.exists() for path in step.makes):
            say(f"{title}: done before")
            continue
        say(f"\n{title}")
        record.begin(step.name)
        code = run_step(step)
        if code:
            return code
        missing = [path for path in step.makes if not path.exists()]
        if missing:
            raise IngestError(f"{step.name} did not make {missing[0]}: see what it said above.")
        record.finish(step.name)
    page = shlex.join(["--catalog", str(folder / CATALOG), "--model", str(folder)])
    say(f"\nAll is done. Open the page:\n  python app.py {page}")
    return 0


def _steps(options: argparse.Namespace, import_options: Sequence[str]) -> list[Step]:
    folder: Path = options.output
    catalog, chosen = folder / CATALOG, folder / "options.json"
    items, interactions = folder / "data" / "items.csv", folder / "data" / "interactions.csv"
    results = folder / "results.json"
    both = ("--items", str(items), "--interactions", str(interactions))
    # What is ours comes last: of an option that is given twice the last one counts.
    imported = ("app.ingest", options.format, f"--name={folder.resolve().name}",
                *import_options, "--catalog", str(catalog),
                "--items", *map(str, options.items),
                "--interactions", *map(str, options.interactions))  # fmt: skip
    exported = ("app.ingest", "export", "--catalog", str(catalog), "--output", str(items.parent))
    trained = ("hllm.train", "--config", str(chosen), *both, "--output", str(folder))
    blended = ("hllm.blend", "--model", str(folder), *both)
    baseline = ("hllm.sentence", "--model", str(folder), "--items", str(items))
    evaluated = ("hllm.evaluate", "--model", str(folder), "--baselines", BASELINES, *both,
                 "--max-users", str(MAX_EVAL_USERS), "--output", str(results))  # fmt: skip

    def choose() -> None:
        _write_options(chosen, options.preset, items, interactions)

    return [
        Step("import", (catalog,), imported),
        Step("export", (items, interactions), exported),
        Step("options", (chosen,), work=choose),
        Step("training", (folder / "config.json", folder / "embeddings.safetensors"), trained),
        Step("blend", (folder / "blend.safetensors",), blended),
        Step("baseline", (folder / "baseline.safetensors",), baseline),
        Step("evaluation", (results,), evaluated),
    ]


def _write_options(path: Path, preset: str, items: Path, interactions: Path) -> None:
    """Write the options of the training: the preset's, or those chosen from the data."""
    if preset != AUTO:
        _write_json(path, _read_preset(Path(preset)))
        say(f"{path}: those of {preset}")
        return
    # torch takes seconds to import: not for --help
    from hllm.training.auto_options import choose_options  # noqa: PLC0415  the same
    from hllm.training.data_facts import measure  # noqa: PLC0415  the same

    choice = choose_options(measure(items, interactions))
    say("\n".join(f"  {reason}" for reason in choice.reasons))
    _write_json(path, choice.options)
    say(f"{path}: change it as you like and give it with --preset and another --output")


def _read_preset(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise IngestError(
            f"{path} is not JSON ({error}): give a file of options, for example one of "
            f"assets/presets, or --preset {AUTO}."
        ) from error


def _write_json(path: Path, values: Any) -> None:
    with atomic_text(path) as file:
        file.write(json.dumps(values, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
