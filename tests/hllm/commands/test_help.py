"""--help of every command: it teaches, and waits for no model library."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for path in [*ROOT.glob("hllm/**/*.py"), *ROOT.glob("app/**/*.py")]
    if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
)
HEAVY = {"torch", "transformers", "pandas", "gradio", "pyarrow", "sqlite_utils"}
REPORT = """
import runpy, sys
module, *sys.argv[1:] = sys.argv[1:]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def run(*arguments, code=REPORT):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT, env=os.environ | {"COLUMNS": "100"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_command_is_looked_at():
    assert {"hllm.train", "hllm.recommend", "hllm.embed"} <= {*MODULES}
    assert {"app.build", "app.catalog", "app.doctor", "app.ingest"} <= {*MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_help_imports_no_model_library(module):
    done = run(module, "--help")
    assert done.returncode == 0, done.stderr[-500:]
    assert f"python -m {module}" in done.stdout
    assert HEAVY & {*done.stderr.splitlines()} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_wrong_option_is_one_line_at_once(module):
    done = run(module, "--nosuchoption", "3")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"python -m {module}") and lines[0].endswith("see --help")
    assert "Traceback" not in done.stderr
    assert HEAVY & {*lines} == set()


def test_help_of_the_app_imports_no_model_library():
    code = "import runpy, sys; sys.argv = ['app.py', *sys.argv[1:]]\n" + REPORT.replace(
        "module, *sys.argv[1:] = sys.argv[1:]", ""
    ).replace('run_module(module, run_name="__main__", alter_sys=True)',
              'run_path("app.py", run_name="__main__")')  # fmt: skip
    done = run("--help", code=code)
    assert done.returncode == 0, done.stderr[-500:]
    assert "--catalog" in done.stdout
    assert HEAVY & {*done.stderr.splitlines()} == set()


def test_opposite_options_have_texts_of_their_own():
    text = run("hllm.train", "--help").stdout
    for flag in (
        "item_pretrained", "user_pretrained", "data_split", "id_learn_temperature", "id_cosine",
    ):  # fmt: skip
        assert f"--no_{flag}" in text
    assert "train on the end of long histories only" in " ".join(text.split())
