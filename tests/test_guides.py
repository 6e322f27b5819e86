"""What the guides tell people to type: every option exists, and the first guide works."""

import contextlib
import functools
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import unittest.mock
import warnings
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.settings import parse_settings
from tests.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_SUBCOMMANDS = {"app.catalog", "app.events", "app.ingest", "hllm.checkpoint"}
PASSES_ON = {"hllm.cluster.ray_train": "hllm.train"}  # what it is given, to that one
OWN_DATA = (ROOT / "docs" / "own-data.md").read_text(encoding="utf-8")


def commands_in(page):
    """Command lines of this project in a page: fenced ones and those within a sentence."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    fenced = re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    lines = [line for code in [*inline, *fenced] for line in code.splitlines()]
    for line in lines:
        found = re.search(r"(?:python -m|-m) ((?:app|hllm)[\w.]*) ?(.*)|python app\.py ?(.*)", line)
        if found and "..." not in line:
            yield found[1] or "app.py", re.split(r"[#&|;`]", found[2] or found[3] or "")[0]


@functools.cache
def help_of(module, *sub):
    """What --help prints."""
    written = io.StringIO()
    with (
        contextlib.redirect_stdout(written),
        unittest.mock.patch.object(sys, "argv", [module, *sub, "--help"]),
        warnings.catch_warnings(action="ignore"),  # modules of commands are imported already
        pytest.raises(SystemExit) as ended,
    ):
        if module == "app.py":
            parse_settings(["--help"], {})
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    return written.getvalue()


ASKED = sorted({(page.name, *found) for page in PAGES for found in commands_in(page)})


@pytest.mark.parametrize(("page", "module", "rest"), ASKED)
def test_options_exist(page, module, rest):
    words = rest.split()
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    known = help_of(module)
    if words and words[0].islower() and module in WITH_SUBCOMMANDS:
        known += help_of(module, words[0])
    if module in PASSES_ON:
        known += help_of(PASSES_ON[module])
    assert [name for name in options if not re.search(rf"{name}(?![\w-])", known)] == []


@pytest.fixture
def run(tmp_path):
    """Run a command of a guide in a folder of its own."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HLLM_DATA_DIR": str(tmp_path / "data")}

    def start(words, **more):
        assert words[0] == "python"
        words = [sys.executable, *(str(ROOT / w) if w == "app.py" else w for w in words[1:])]
        return subprocess.Popen(
            words, cwd=tmp_path, env=environ, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, **more,
        )  # fmt: skip

    return start


@pytest.mark.long
def test_own_data_from_the_files_to_the_page(run, tmp_path):
    (make,) = re.findall(r"```python\n(.*?)```", OWN_DATA, re.S)
    build, serve = re.findall(r"```bash\n(.*?)\n```", OWN_DATA, re.S)
    assert run(["python", "-c", make]).wait(PATIENCE_S) == 0
    process = run(shlex.split(build))
    said, _ = process.communicate(timeout=20 * PATIENCE_S)
    assert process.returncode == 0, said
    assert said.splitlines()[-1].endswith(serve.strip()), said
    app = run([*shlex.split(serve), "--port", "7899"])
    try:
        wait_until(lambda: app.poll() is not None or is_ready("http://127.0.0.1:7899"))
        assert app.poll() is None, app.stdout.read()
    finally:
        app.terminate()
        said, _ = app.communicate(timeout=PATIENCE_S)
    assert app.returncode == 0 and "Traceback" not in said
    recommend = re.search(r"`(Recommender\.from_pretrained.*?)`", OWN_DATA)[1]
    process = run(["python", "-c", f"from hllm import Recommender; print(len({recommend}.items))"])
    assert process.communicate(timeout=PATIENCE_S)[0].splitlines()[-1] == "10"


def is_ready(url):
    """Whether the catalogue is open and both models answer."""
    try:
        return urlopen(f"{url}/-/ready", timeout=5).status == 200
    except OSError:
        return False
