"""The package: its public names, its dependencies, and the wheel that pip installs."""

import doctest
import importlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import hllm
import hllm.recommend

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def python(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )


def test_import_brings_nothing_and_says_what_there_is():
    done = python(
        "import sys, hllm\n"
        "print({'torch', 'transformers', 'numpy', 'pandas'} & {*sys.modules})\n"
        "print({*hllm.__all__} <= {*dir(hllm)}, 'torch' in sys.modules)\n",
        cwd=ROOT,
    )
    assert done.stdout.splitlines() == ["set()", "True False"], done.stderr


def test_public_names_are_those_of_their_modules():
    for name in hllm.__all__:
        assert getattr(hllm, name).__name__ == name
        assert getattr(hllm, name).__doc__
    assert hllm.Recommender is hllm.recommend.Recommender


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'hllm' has no attribute 'Recomender'"):
        hllm.Recomender  # noqa: B018


@pytest.mark.parametrize("module", [hllm, hllm.recommend], ids=lambda module: module.__name__)
def test_examples_in_docstrings_are_true(module, monkeypatch):
    monkeypatch.chdir(ROOT)  # the examples open the built-in model
    failed, tried = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert tried > 0
    assert failed == 0, "see the captured output"


def requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if not line.startswith(("#", "-r "))]


def test_requirements_files_repeat_pyproject():
    extras = PROJECT["optional-dependencies"]
    assert requirements("requirements.txt") == PROJECT["dependencies"] + extras["app"]
    assert requirements("requirements-dev.txt") == extras["dev"]
    assert requirements("requirements-mcp.txt") == extras["mcp"]
    assert requirements("requirements-umap.txt") == extras["umap"]
    assert requirements("requirements-postgres.txt") == extras["postgres"]
    assert requirements("requirements-scale.txt") == extras["scale"]
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")


def test_every_command_has_an_alias():
    commands = {
        path.stem
        for path in (ROOT / "hllm").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert {name.removeprefix("hllm-") for name in PROJECT["scripts"]} == commands
    for target in PROJECT["scripts"].values():
        module, _, main = target.partition(":")
        assert callable(getattr(importlib.import_module(module), main))


@pytest.mark.slow
def test_installed_wheel_works_from_another_folder(tmp_path):
    source, target = tmp_path / "source", tmp_path / "installed"
    source.mkdir()
    # A copy: setuptools writes its build folder beside pyproject.toml.
    shutil.copytree(ROOT / "hllm", source / "hllm", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", target, source], check=True)
    assert not (target / "app").exists()
    environment = {**os.environ, "PYTHONPATH": str(target)}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = (
        "import hllm\n"
        "from hllm import HLLM, Recommender\n"
        "print(hllm.__file__)\n"
        f"found = Recommender.from_pretrained({str(ROOT / 'assets/books/model')!r})"
        ".recommend(['dune-herbert'], top_k=2)\n"
        "print(len(found.items))\n"
    )
    done = python(code, cwd=elsewhere, env=environment)
    assert done.stdout.split() == [str(target / "hllm" / "__init__.py"), "2"], done.stderr
    modules = {path.relative_to(ROOT) for path in (ROOT / "hllm").rglob("*.py")}
    assert modules == {path.relative_to(target) for path in (target / "hllm").rglob("*.py")}
    helped = subprocess.run(
        [sys.executable, target / "bin" / "hllm-train", "--help"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert helped.returncode == 0, helped.stderr
    assert "--items" in helped.stdout
    scripts = {path.name for path in (target / "bin").iterdir()}
    assert set(PROJECT["scripts"]) <= scripts
