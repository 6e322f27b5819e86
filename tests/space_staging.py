"""A Space on this machine: what it receives, how it is built, and who runs it, for tests."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534
MAX_START_S = 120
READ_ONLY_FILE, READ_ONLY_FOLDER = 0o444, 0o555
# What a Gradio Space installs in one go, as build logs of Spaces show it.
INSTALL = (
    "install -q -r requirements.txt gradio[oauth,mcp]=={sdk_version} uvicorn>=0.14.0 "
    "websockets>=10.4 spaces=={spaces} torch=={torch}"
)
TORCHES = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")  # that ZeroGPU has

# Where a Python lies below a folder that others cannot enter: a mount namespace in which they can.
OPENED = """
set -e
mount --make-rprivate /
mkdir -p {aside}
mount --bind {prefix} {aside}
mount -t tmpfs -o mode=755 none {closed}
mkdir -p {prefix}
mount --bind {aside} {prefix}
exec {command}
"""


def can_stage():
    """Whether this machine lets us be somebody else, with a file system of their own."""
    needed = ("unshare", "setpriv", "mount")
    if os.geteuid() or not all(map(shutil.which, needed)) or not (ROOT / ".git").exists():
        return False
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return not tried.returncode


@contextmanager
def world():
    """A folder that everybody can enter: `source` cannot be written, `tmp` can."""
    folder = Path(tempfile.mkdtemp(prefix="space-"))
    try:
        folder.chmod(0o755)
        (folder / "source").mkdir()
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(0o777)
        copy_tracked(folder / "source")
        yield folder
    finally:
        shutil.rmtree(folder)


def copy_tracked(target):
    """Copy what is pushed to a Space."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
            (target / name).chmod(READ_ONLY_FILE)
    for folder in [*target.rglob("*/"), target]:
        folder.chmod(READ_ONLY_FOLDER)


def front_matter():
    """The settings of the Space at the top of README.md."""
    return yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---\n")[1])


def python_of_a_space():
    """A Python of the version that README.md asks for; None: there is none here."""
    name = f"python{front_matter()['python_version']}"
    found = [shutil.which(name), *Path.home().glob(f".pyenv/versions/*/bin/{name}")]
    for python in filter(None, found):  # one that pyenv has not switched on only says so
        if not subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
            return python
    return None


def built_environment(folder, python, torch):
    """Make an environment as a Space does; gives its Python.

    Args:
        folder: of a world.
        python: the Python to make it of.
        torch: the version.
    """
    pinned = (ROOT / "constraints.txt").read_text()
    spaces = re.search(r"^spaces==(.+)$", pinned, re.M)[1]
    version = front_matter()["sdk_version"]
    words = INSTALL.format(sdk_version=version, spaces=spaces, torch=torch).split()
    subprocess.run([python, "-m", "venv", folder / "env"], check=True)
    made = folder / "env/bin/python"
    subprocess.run([made, "-m", "pip", *words], cwd=ROOT, check=True)
    return made


def as_nobody(python, folder, arguments):
    """The command that runs a Python with nobody's rights."""
    prefix = subprocess.check_output(
        [python, "-c", "import sys; print(sys.base_prefix)"], text=True
    ).strip()
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command = [*words, str(python), *arguments]
    closed = [path for path in Path(prefix).parents if not path.stat().st_mode & 0o001]
    if not closed:
        return command
    script = OPENED.format(
        aside=folder / "python", prefix=prefix, closed=closed[-1], command=shlex.join(command)
    )
    return ["unshare", "-m", "sh", "-c", script]


class Space:
    """A running one.

    Attributes:
        url: of the page.
        log: file with what it says.
        start_s: until it was open.
    """

    def __init__(self, process, log):
        self._process, self.log = process, log
        started = time.monotonic()
        self.url = self._wait_for_url()
        self.start_s = time.monotonic() - started

    def peak_bytes(self):
        """Most memory that it has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024

    def _wait_for_url(self):
        deadline = time.monotonic() + MAX_START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+", self.log.read_text())
            if found:
                return found[0]
            time.sleep(0.2)
        raise AssertionError("the app did not start:\n" + self.log.read_text())


@contextmanager
def running(folder, *arguments, python=sys.executable, **environ):
    """Run a program of a world's source as nobody; gives a Space.

    Args:
        folder: of the world.
        arguments: of Python; default: app.py.
        python: the interpreter.
        environ: variables.
    """
    log, scratch = folder / "log", folder / "tmp"
    with log.open("w") as output:
        process = subprocess.Popen(
            as_nobody(python, folder, arguments or ["app.py"]),
            cwd=folder / "source",
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(scratch),
                "TMPDIR": str(scratch),
                "PYTHONUNBUFFERED": "1",
                "GRADIO_SERVER_NAME": "127.0.0.1",
                "SYSTEM": "spaces",
                **environ,
            },
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Space(process, log)
    except BaseException:
        print(log.read_text())  # pytest shows it
        raise
    finally:
        process.terminate()
        process.wait(20)
