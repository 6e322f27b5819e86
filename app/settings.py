"""What the app is told when it starts: command line, environment and where it may write."""

import argparse
import logging
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.catalog.address import Place, place_of
from app.errors import CatalogError
from hllm.serving.precision import PRECISIONS
from hllm.shell import CommandParser

ROOT = Path(__file__).resolve().parent.parent
MAX_PORT = 65535
EVENTS_DAYS = 90
MAX_EVENTS_DAYS = 36_500
YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_DESCRIPTION = "Open HLLM Live: click items and watch a language-model recommender answer."
_EPILOG = """examples:
  python app.py
      the built-in books, with the model that ships
  python app.py --catalog games.db --model runs/games --covers covers/
      your own catalogue (python -m app.ingest makes one) and your own model (python -m hllm.train)
  python app.py --models runs --left books-sasrec --right item-knn
      two other models in the columns; the page's menu offers all that are installed
  python app.py --host 0.0.0.0 --port 8000
      let other machines in your network open the page
  python app.py --host 0.0.0.0 --allowed-hosts books.example.org
      the same, behind a proxy or a name of your own
  python app.py --host 0.0.0.0 --catalog postgresql://hllm@db.example.org/games --model runs/games
      one of several replicas, which share catalogue and events (docs/cluster.md)

Every option can also be given as an environment variable (HLLM_CATALOG, HLLM_MODEL, ...), which is
how a Space is configured. The app answers on your machine only and sends nothing anywhere."""

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
        covers: folder with pictures of items; None: the one of the import; without, they are drawn.
        data_dir: where the app writes; None: data/ beside app.py, or a temporary folder.
        host: address to listen on; None: this machine only.
        port: port to listen on; None: the first free one from 7860.
        allowed_hosts: further names, in lower case, under which the app is reached.
        admin_password_file: with the password of /-/admin; None: there is no such page.
        metrics: /-/metrics is there, for Prometheus.
        events_days: how long it is kept what was shown and clicked; 0: not at all.
        mcp: offer what programs can ask as MCP tools, too.
    """

    catalog: Place | None = None
    model: Path | None = None
    models: tuple[Path, ...] = ()
    left: str | None = None
    right: str | None = None
    embeddings: Path | None = None
    baseline: Path | None = None
    precision: str | None = None
    covers: Path | None = None
    data_dir: Path | None = None
    host: str | None = None
    port: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    events_days: int = EVENTS_DAYS
    metrics: bool = False
    admin_password_file: Path | None = None
    mcp: bool = False


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
    if values["embeddings"] and not values["model"]:
        parser.error("--embeddings belongs to a model: give the model's folder with --model, too.")
    if values["port"] is not None and not 0 < values["port"] <= MAX_PORT:
        parser.error(f"--port must be between 1 and {MAX_PORT}, not {values['port']}.")
    if values["precision"] not in (None, *PRECISIONS):
        parser.error(f"--precision {values['precision']}: choose from {', '.join(PRECISIONS)}")
    values["mcp"] = bool(values["mcp"])
    if values["mcp"] and find_spec("mcp") is None:
        parser.error(
            "--mcp needs the package mcp: pip install -r requirements-mcp.txt -c constraints.txt"
        )
    values["allowed_hosts"] = values["allowed_hosts"] or ()
    values["models"] = values["models"] or ()
    values["metrics"] = bool(values["metrics"])
    if values["events_days"] is None:
        values["events_days"] = EVENTS_DAYS
    if not 0 <= values["events_days"] <= MAX_EVENTS_DAYS:
        parser.error(
            f"--events-days must be between 0 and {MAX_EVENTS_DAYS}, not {values['events_days']}."
        )
    return Settings(**values)


def host_names(text: str) -> tuple[str, ...]:
    """Names of hosts, separated by commas.

    Raises:
        argparse.ArgumentTypeError: one is an address of a page, or has a port.
    """
    names = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for name in names:
        if not _HOST_NAME.fullmatch(name):
            raise argparse.ArgumentTypeError(
                f"{name!r} is not the name of a host: write it like hllm.example.org, without "
                "http://, port and path"
            )
    return names


def folder_names(text: str) -> tuple[Path, ...]:
    """Folders, with commas between."""
    return tuple(Path(name.strip()) for name in text.split(",") if name.strip())


def yes_or_no(word: str) -> bool:
    """Whether something is wanted.

    Raises:
        argparse.ArgumentTypeError: the word says neither.
    """
    if word.lower() in (*YES, *NO):
        return word.lower() in YES
    raise argparse.ArgumentTypeError(f"{word!r} is neither yes nor no")


def _parser(environ: Mapping[str, str], prog: str, description: str, epilog: str) -> CommandParser:
    parser = CommandParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(flag: str, kind: Callable[[str], Any], metavar: str, text: str, **more: Any) -> None:
        name = "HLLM_" + flag[2:].upper().replace("-", "_")
        # argparse converts a default that is a string, so a bad variable fails like a bad flag.
        parser.add_argument(
            flag, type=kind, metavar=metavar, help=text, default=environ.get(name) or None, **more
        )

    add(
        "--catalog",
        place_of,
        "FILE",
        "catalogue to show: a file, or postgresql://user@host/database, which replicas share "
        "(default: the built-in books)",
    )
    add("--model", Path, "FOLDER", "HLLM to recommend with (default: the built-in model)")
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
        "--covers",
        Path,
        "FOLDER",
        "pictures of the items (default: those of the import, else drawn)",
    )
    add("--data-dir", Path, "FOLDER", "where to write (default: data/, else a temporary folder)")
    _add_server_options(add)
    return parser


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
