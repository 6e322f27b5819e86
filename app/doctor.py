"""Whether the app can run here, and what to do where it cannot: python -m app.doctor --help."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.get.names import with_paths
from app.settings import ROOT, Settings, parse_settings, writable_dir
from hllm.errors import CheckpointError, HLLMError
from hllm.shell import command

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 1 << 30
FASTER = {"avx2": "without it models answer much slower", "avx512f": "with it, answers are faster"}
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")  # there if the driver is loaded
PROBLEM = 1
_DESCRIPTION = """\
Say whether the app can run here: Python and packages, processor and GPU, free space, the port,
every byte of catalogue and models. It takes the options of app.py, changes nothing, and ends with
exit code 1 if something has to be done.
"""
_EPILOG = """\
example:
  python -m app.doctor --catalog games.db --model runs/games
"""
_PIP = "pip install -r requirements.txt -c constraints.txt"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: the thing and its state.
        remedy: what to do, as a sentence; "" if nothing has to be done.
    """

    what: str
    remedy: str = ""


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Check everything with the options of app.py, and print a line for each."""
    settings = with_paths(
        parse_settings(
            sys.argv[1:] if argv is None else argv,
            os.environ,
            prog="python -m app.doctor",
            description=_DESCRIPTION,
            epilog=_EPILOG,
        )
    )
    problems = 0
    for check in CHECKS:
        for finding in check(settings):
            problems += bool(finding.remedy)
            mark = "PROBLEM" if finding.remedy else "ok"
            sys.stdout.write(f"{mark:8}{finding.what}\n")
            if finding.remedy:
                sys.stdout.write(f"{'':8}{finding.remedy}\n")
    sys.stdout.write(f"{problems} problems.\n" if problems != 1 else "1 problem.\n")
    return PROBLEM if problems else 0


def check_python(_: Settings) -> Iterator[Finding]:
    """The version of Python and the packages of requirements.txt."""
    found = sys.version_info[:2]
    said = f"Python {found[0]}.{found[1]}"
    oldest = ".".join(map(str, OLDEST_PYTHON))
    yield Finding(said, "" if found >= OLDEST_PYTHON else f"Install Python {oldest} or newer.")
    for name, tested in _tested_versions().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Finding(f"{name} is not installed", f"Install it: {_PIP}")
            continue
        other = "" if installed.split("+")[0] == tested else f" (tested: {tested})"
        yield Finding(f"{name} {installed}{other}")


def _tested_versions() -> dict[str, str]:
    """Of what requirements.txt names, the exact versions of constraints.txt."""

    def names(file: str) -> list[str]:
        lines = (ROOT / file).read_text("utf-8").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]

    tested = dict(line.split("==") for line in names("constraints.txt"))
    wanted = [
        line.replace("=", "<").replace(">", "<").split("<")[0] for line in names("requirements.txt")
    ]
    return {name: tested[name] for name in wanted if name in tested}


def check_processor(_: Settings) -> Iterator[Finding]:
    """What the processor can do that makes answers faster; nothing of it has to be there."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        yield Finding("the processor's features cannot be read here")
        return
    flags = set(next((x for x in text.splitlines() if x.startswith("flags")), "").split())
    for name, meaning in FASTER.items():
        yield Finding(f"processor has {name}" if name in flags else f"no {name}: {meaning}")
    yield Finding(f"{os.cpu_count()} processor cores")


def check_gpu(_: Settings) -> Iterator[Finding]:
    """The GPUs that PyTorch finds; one that it does not find has a driver here."""
    import torch  # noqa: PLC0415  takes seconds: not for --help

    from hllm.serving.user_model import has_cuda  # noqa: PLC0415  the same

    if has_cuda():
        for number in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(number)
            yield Finding(f"{found.name}, {found.total_memory / 1e9:.0f} GB")
    elif NVIDIA_DRIVER.exists():
        yield Finding(
            f"there is an NVIDIA driver, but PyTorch {torch.__version__} finds no GPU",
            "Install PyTorch with CUDA, and a driver as new as it asks for: "
            "https://pytorch.org/get-started/locally",
        )
    else:
        yield Finding("no NVIDIA GPU: everything is computed by the processor")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """The folders that the app writes to."""
    folder = writable_dir(settings.data_dir)
    for name, place in (("the data folder", folder), ("temporary files", tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        few = free < LEAST_FREE_BYTES
        remedy = "Free some space, or choose another folder with --data-dir." if few else ""
        yield Finding(f"{free / 1e9:.1f} GB free for {name} ({place})", remedy)


def check_port(settings: Settings) -> Iterator[Finding]:
    """Whether the app can listen, and for how many."""
    from app.serving.connections import limits_of_this_machine  # noqa: PLC0415  uvicorn: not for --help
    from app.serving.server import listen  # noqa: PLC0415  uvicorn: not for --help

    try:
        with listen(settings.host, settings.port, os.environ) as listener:
            host, port = listener.getsockname()[:2]
    except HLLMError as error:
        yield Finding("no port to listen on", str(error))
    else:
        yield Finding(f"port {port} of {host} is free")
    yield Finding(f"{limits_of_this_machine().connections} connections at a time")


def check_catalog(settings: Settings) -> Iterator[Finding]:
    """Every byte of the catalogues."""
    from app.catalog.opening import open_catalog  # noqa: PLC0415  sqlite_utils and pandas: not for --help

    for one in settings.of_each():
        books = writable_dir(one.data_dir) / "books.db"
        path = one.catalog or books
        if one.catalog is None and not books.exists():
            yield Finding("the built-in catalogue is made at the first start")
            continue
        try:
            with open_catalog(path) as catalog:
                catalog.check()
                yield Finding(f"{path}: {catalog.num_items:,} items")
        except HLLMError as error:
            yield Finding(f"{path} is not usable", str(error))


def check_models(settings: Settings) -> Iterator[Finding]:
    """Every byte of the model's weights and of the embeddings."""
    from app.opening import BUILT_IN_BASELINE, BUILT_IN_MODELS  # noqa: PLC0415  the catalogue: not for --help
    from hllm.verify import verify_folder  # noqa: PLC0415  torch: not for --help

    folders: list[Path] = []
    for one in settings.of_each():
        folders += [one.model] if one.model else []
        if one.model is None and one.catalog is None:
            folders += BUILT_IN_MODELS
            if not BUILT_IN_BASELINE.exists():
                yield Finding(f"{BUILT_IN_BASELINE} is missing", "Check the files out again (git).")
    for folder in folders:
        try:
            for found in verify_folder(folder):
                remedy = f"{found.problem}." if found.problem else ""
                yield Finding(f"{found.path} " + ("is damaged" if remedy else "is whole"), remedy)
        except CheckpointError as error:
            yield Finding(f"{folder} is not usable", str(error))


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    check_python,
    check_processor,
    check_gpu,
    check_disk,
    check_port,
    check_catalog,
    check_models,
)

if __name__ == "__main__":
    sys.exit(main())
