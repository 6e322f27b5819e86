"""Every option that a page names exists, of the commands and of the benchmarks."""

import contextlib
import functools
import io
import re
import runpy
import sys
import unittest.mock
import warnings
from importlib.util import find_spec

import pytest

from app.settings import parse_settings
from tests.guides.pages import PAGES, ROOT, blocks, prose

WITH_SUBCOMMANDS = {"app.catalog", "app.events", "app.ingest", "hllm.checkpoint", "hllm.exchange"}
PASSES_ON = {  # what it is given, to that one
    "hllm.cluster.ray_train": "hllm.train",
    "benchmarks/bench_start.py": "app.py",
}
NOT_INSTALLED = {"benchmarks/bench_openvino.py": "nncf"}
COMMAND = re.compile(r"-m ((?:app|hllm)[\w.]*)(.*)|python ((?:benchmarks/\w+|app)\.py)(.*)")


def commands_in(page):
    """Commands of this project in a page, (module or file, arguments), shortened ones as well."""
    fenced = [one.text.replace("\\\n", " ") for one in blocks(page) if one.language == "bash"]
    spans = re.findall(r"`([^`\n]+)`", prose(page))
    for line in "\n".join([*fenced, *spans]).splitlines():
        if found := COMMAND.search(line):
            rest = re.split(r"[#&|;]", found[2] or found[4] or "")[0].strip()
            yield found[1] or found[3], rest


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
        if module.endswith(".py"):
            runpy.run_path(str(ROOT / module), run_name="__main__")
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert ended.value.code == 0
    return written.getvalue()


ASKED = sorted({(page.name, *found) for page in PAGES for found in commands_in(page.name)})


@pytest.mark.parametrize(("page", "module", "rest"), ASKED)
def test_options_exist(page, module, rest):
    if module in NOT_INSTALLED and find_spec(NOT_INSTALLED[module]) is None:
        pytest.skip(f"{NOT_INSTALLED[module]} is not installed")
    words = rest.split()
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    known = help_of(module)
    if words and words[0].islower() and module in WITH_SUBCOMMANDS:
        known += help_of(module, words[0])
    if module in PASSES_ON:
        known += help_of(PASSES_ON[module])
    assert [name for name in options if not re.search(rf"{name}(?![\w-])", known)] == []
