"""What the app is told when it starts: command line, environment and where it may write."""

import argparse
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.catalog.address import Place
from app.errors import CatalogError
from app.option_values import (
    BOOKS,
    Chosen,
    catalog_choice,
    catalog_names,
    folder_names,
    host_names,
    yes_or_no,
)
from app.variables import (
    MAX_PORT,
    VariableParser,
    check_numbers_of_gradio,
    variable_of,
    warn_of_unread,
)
from hllm.choices import INDEXES
from hllm.errors import did_you_mean
from hllm.serving.precision import PRECISIONS
from hllm.shell import CommandParser

ROOT = Path(__file__).resolve().parent.parent
EVENTS_DAYS = 90
MAX_EVENTS_DAYS = 36_500
MOST_CATALOGS = 20
_DESCRIPTION = "Open HLLM Live: click items and watch a language-model recommender answer."
_EPILOG = """examples:
  python app.py
      the built-in books, with the model that ships
  python app.py --catalog games.db --model runs/games --covers covers/
      your own catalogue (python -m app.ingest makes one) and your own model (python -m hllm.train)
  python app.py --catalog books --catalog games.db=runs/games --catalog office.db
      three catalogues, of which each visitor chooses one in the page's menu; the first is shown
      first. Behind "=" stands the folder of a catalogue's model, with its embeddings and those of
      the baseline in it; without one, the catalogue can be browsed and searched
  python app.py --catalog amazon-games-2023 --model hllm-1b-books
      data and model by name: says what is to be downloaded and asks (python -m app.get --list)
  python app.py --models runs --left books-sasrec --right item-knn
      two other models in the columns; the page's menu offers all that are installed
  python app.py --host 0.0.0.0 --port 8000
      let other machines in your network open the page
  python app.py --host 0.0.0.0 --allowed-hosts books.example.org
      the same, behind a proxy or a name of your own
  python app.py --host 0.0.0.0 --catalog postgresql://hllm@db.example.org/games --model runs/games
      one of several replicas, which share catalogue and events (docs/cluster.md)

--model, --left, --right, --embeddings, --baseline and --covers are of the first catalogue, --models
and --precision of all of them.

Every option can also be given as an environment variable (HLLM_CATALOG, HLLM_MODEL, ...), which is
how a Space is configured; HLLM_CATALOG has commas between several catalogues (those between the
hosts of an address stay with it; one behind its "?" is written %2C). The app answers on your
machine only and sends nothing anywhere; it fetches only what you name and say yes to."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where things are and where the page listens; None means the built-in or automatic choice.

    Attributes:
        catalog: SQLite file made by app.ingest, or address of a PostgreSQL database that replicas
            share; None: the built-in books.
        model: HLLM folder; None: the built-in model, if the catalogue is the built-in one.
        models: further model folders, or folders of such, that the page offers.
        left, right: names of the models in the two columns; None: the HLLM, the baseline.
        embeddings: item embeddings of the HLLM; None: embeddings.safetensors in the model folder.
        baseline: item embeddings of the baseline; None: beside the model.
        precision: of the User LLM; None: chosen for the model and the machine.
        index: what finds the nearest items; None: chosen for the size of the catalogue.
        covers: folder with pictures of items; None: the one of the import; without, they are drawn.
        data_dir: where the app writes; None: data/ beside app.py, or a temporary folder.
        host: address to listen on; None: this machine only.
        port: port to listen on; None: the first free one from 7860.
        allowed_hosts: further names, in lower case, under which the app is reached.
        admin_password_file: with the password of /-/admin; None: there is no such page.
        metrics: /-/metrics is there, for Prometheus.
        events_days: how long it is kept what was shown and clicked; 0: not at all.
        mcp: offer what programs can ask as MCP tools, too.
        others: further catalogues; what is said above of one is of the first.
        yes: download what catalog and model name without asking.
    """

    catalog: Place | None = None
    model: Path | None = None
    models: tuple[Path, ...] = ()
    left: str | None = None
    right: str | None = None
    embeddings: Path | None = None
    baseline: Path | None = None
    precision: str | None = None
    index: str | None = None
    covers: Path | None = None
    data_dir: Path | None = None
    host: str | None = None
    port: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    events_days: int = EVENTS_DAYS
    metrics: bool = False
    admin_password_file: Path | None = None
    mcp: bool = False
    others: tuple[Chosen, ...] = ()
    yes: bool = False

    def of_each(self) -> list["Settings"]:
        """The settings of each catalogue, as if it were the only one; the first one's first."""
        without = replace(
            self, left=None, right=None, embeddings=None, baseline=None, covers=None, others=()
        )
        others = (replace(without, catalog=one.catalog, model=one.model) for one in self.others)
        return [replace(self, others=()), *others]

    def named_files(self) -> Iterator[tuple[str, Path]]:
        """Models and embeddings of all catalogues that somebody has named, and how."""
        for number, one in enumerate(self.of_each()):
            model = f"--catalog {one.catalog}={one.model}" if number else "--model"
            found = {model: one.model, "--embeddings": one.embeddings, "--baseline": one.baseline}
            yield from ((option, path) for option, path in found.items() if path is not None)


def parse_settings(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    prog: str = "app.py",
    description: str = _DESCRIPTION,
    epilog: str = _EPILOG,
) -> Settings:
    """Read the command line; what it leaves out comes from the environment.

    Args:
        argv: arguments without the name of the program.
        environ: variables such as HLLM_CATALOG; empty ones count as absent.
        prog: the command, for its --help.
        description: what it does.
        epilog: examples.

    Returns:
        The settings; nothing is checked against the disk yet.
    """
    parser = _parser(environ, prog, description, epilog)
    values = vars(parser.parse_args(argv))
    check_numbers_of_gradio(parser, environ)
    warn_of_unread(environ, values)
    chosen = values.pop("catalog") or _chosen_by(parser, environ)
    values |= _checked(parser, chosen, values["model"])
    if values["embeddings"] and not values["model"]:
        parser.error("--embeddings belongs to a model: give the model's folder with --model, too.")
    if values["port"] is not None and not 0 < values["port"] <= MAX_PORT:
        parser.error(f"--port must be between 1 and {MAX_PORT}, not {values['port']}.")
    for option, known in (("precision", PRECISIONS), ("index", INDEXES)):
        if values[option] not in (None, *known):
            near = did_you_mean(values[option], known)
            parser.error(f"--{option} {values[option]}{near}: choose from {', '.join(known)}")
    if values["index"] == "lancedb":
        _need(parser, "lancedb", "--index lancedb", "requirements-scale.txt")
    values["mcp"] = bool(values["mcp"])
    if values["mcp"]:
        _need(parser, "mcp", "--mcp", "requirements-mcp.txt")
    values["allowed_hosts"] = values["allowed_hosts"] or ()
    values["models"] = values["models"] or ()
    values["metrics"] = bool(values["metrics"])
    values["yes"] = bool(values["yes"])
    if values["events_days"] is None:
        values["events_days"] = EVENTS_DAYS
    if not 0 <= values["events_days"] <= MAX_EVENTS_DAYS:
        parser.error(
            f"--events-days must be between 0 and {MAX_EVENTS_DAYS}, not {values['events_days']}."
        )
    return Settings(**values)


def _need(parser: CommandParser, package: str, option: str, requirements: str) -> None:
    if find_spec(package) is None:
        parser.error(
            f"{option} needs the package {package}: pip install -r {requirements} "
            "-c constraints.txt"
        )


def _chosen_by(parser: CommandParser, environ: Mapping[str, str]) -> list[Chosen]:
    """The catalogues of the environment, or the built-in one."""
    names = catalog_names(environ.get("HLLM_CATALOG", ""))
    try:
        return [catalog_choice(name) for name in names] or [Chosen(None)]
    except argparse.ArgumentTypeError as error:
        parser.error(f"HLLM_CATALOG: {error}")


def _checked(parser: CommandParser, chosen: Sequence[Chosen], model: Path | None) -> dict[str, Any]:
    """The values of Settings that say which catalogues there are."""
    files = [one.catalog for one in chosen]
    twice = next((file for file in files if files.count(file) > 1), chosen)
    if twice is not chosen:
        parser.error(f"--catalog {twice or BOOKS} is given twice.")
    if len(chosen) > MOST_CATALOGS:
        parser.error(f"--catalog may be given {MOST_CATALOGS} times, not {len(chosen)}.")
    first, *others = chosen
    if first.model and model:
        parser.error(f"The first catalogue has two models: --model {model} and {first.model}.")
    return {"catalog": first.catalog, "model": model or first.model, "others": tuple(others)}


def _parser(environ: Mapping[str, str], prog: str, description: str, epilog: str) -> CommandParser:
    parser = VariableParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.environ = environ

    def add(flag: str, kind: Callable[[str], Any], metavar: str, text: str, **more: Any) -> None:
        # argparse converts a default that is a string, so a bad variable fails like a bad flag.
        parser.add_argument(
            flag,
            type=kind,
            metavar=metavar,
            help=text,
            default=environ.get(variable_of(flag)) or None,
            **more,
        )

    parser.add_argument(
        "--catalog",
        action="append",
        type=catalog_choice,
        metavar="FILE[=MODEL]",
        help="catalogue to show: a file, the name of a known data set, or "
        "postgresql://user@host/database, which replicas share; with the folder or name of its "
        f"model, if any. {BOOKS!r} is the built-in one; may be given several times (default: the "
        "built-in books)",
    )
    add(
        "--yes",
        yes_or_no,
        "yes",
        "download what --catalog and --model name without asking",
        nargs="?",
        const=True,
    )
    _add_model_options(add)
    add(
        "--covers",
        Path,
        "FOLDER",
        "pictures of the items (default: those of the import, else drawn)",
    )
    add("--data-dir", Path, "FOLDER", "where to write (default: data/, else a temporary folder)")
    _add_server_options(add)
    return parser


def _add_model_options(add: Callable[..., None]) -> None:
    add(
        "--model",
        Path,
        "FOLDER",
        "HLLM to recommend with, or the name of a published one (default: the built-in model)",
    )
    add(
        "--models",
        folder_names,
        "FOLDERS",
        "further models for the page to choose from, with commas between: model folders of any "
        "kind, or folders with such below",
    )
    add("--left", str, "NAME", "model of the left column, by name or folder name (default: hllm)")
    add("--right", str, "NAME", "model of the right column (default: minilm-decay)")
    add("--embeddings", Path, "FILE", "item embeddings (default: embeddings.safetensors of MODEL)")
    add("--baseline", Path, "FILE", "baseline embeddings (default: baseline.safetensors of MODEL)")
    add("--precision", str, "NAME", f"of the User LLM: {', '.join(PRECISIONS)} (default: auto)")
    add(
        "--index",
        str,
        "NAME",
        "what finds the nearest items: auto (exact, or FAISS in memory for a large catalogue), or "
        "lancedb, a database on the disk for more items than memory holds (needs "
        "requirements-scale.txt; default: auto)",
    )


def _add_server_options(add: Callable[..., None]) -> None:
    add("--host", str, "ADDRESS", "address to listen on (default: this machine only)")
    add("--port", int, "NUMBER", "port to listen on (default: the first free one from 7860)")
    add(
        "--allowed-hosts",
        host_names,
        "NAMES",
        "names under which a proxy or your network serves the app, with commas between; it answers "
        "only under these, localhost, --host, this machine's name and any IP address",
    )
    add(
        "--events-days",
        int,
        "NUMBER",
        "keep what was shown and clicked, under random ids of browser tabs, for so many days "
        f"(default: {EVENTS_DAYS}; 0: keep nothing of it)",
    )
    add(
        "--admin-password-file",
        Path,
        "FILE",
        "answer /-/admin, what visitors saw and picked, to whoever knows the password in FILE",
    )
    add(
        "--metrics",
        yes_or_no,
        "yes",
        "answer /-/metrics, for Prometheus, to whoever reaches the app",
        nargs="?",
        const=True,
    )
    add(
        "--mcp",
        yes_or_no,
        "yes",
        "answer /mcp, what programs can ask as MCP tools (needs requirements-mcp.txt)",
        nargs="?",
        const=True,
    )


def writable_dir(chosen: Path | None, default: Path = ROOT / "data") -> Path:
    """Find the folder that the app writes to, and create it.

    Args:
        chosen: the folder that was asked for, or None for `default`.
        default: taken if it can be written; a Space's source folder, for one, cannot.

    Returns:
        An existing folder in which files can be made.

    Raises:
        CatalogError: the chosen folder cannot be written; a default that cannot is replaced.
    """
    if chosen is not None:
        if not _can_write(chosen):
            raise CatalogError(
                f"The data folder {chosen} cannot be written; choose another with --data-dir."
            )
        return chosen
    if _can_write(default):
        return default
    folder = Path(tempfile.gettempdir()) / f"hllm-live-{os.getuid()}"
    # A folder of that name that somebody else made could hold a catalogue of their choice.
    if not _can_write(folder) or folder.stat().st_uid != os.getuid():
        folder = Path(tempfile.mkdtemp(prefix="hllm-live-"))
    logger.info("%s cannot be written; the app writes to %s instead.", default, folder)
    return folder


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
