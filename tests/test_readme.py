"""The README: what configures a Space, and the lines of Python that it promises."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from hllm.weights import packaged
from tests.guides.pages import block

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def space():
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", README, re.S)[1])


def test_front_matter_is_short_and_configures_a_space(space):
    # GitHub shows a table with a column for each key above everything else.
    keys = ["title", "sdk", "sdk_version", "python_version", "app_file", "preload_from_hub"]
    assert list(space) == keys
    assert (ROOT / space["app_file"]).is_file()
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"{space['sdk']}=={space['sdk_version']}" in constraints
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    least = project["requires-python"].removeprefix(">=")
    assert [*map(int, space["python_version"].split("."))] >= [*map(int, least.split("."))]


def test_a_space_preloads_the_file_that_no_requirement_installs(space):
    package = packaged._PACKAGES[packaged.SMOLLM2]
    repository, revision = package.hub
    assert space["preload_from_hub"] == [f"{repository} {package.weights} {revision}"]


def test_python_example_recommends(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(compile(block("README.md", "recommend"), "README.md", "exec"), {})
    ranks = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert ranks == ["1", "2", "3", "4", "5"]


def test_commands_install_the_weights_that_are_no_dependency():
    # What pip shall install without its dependencies, no requirements file can say.
    apart = [p.install for p in packaged._PACKAGES.values() if p.install.startswith("--no-deps")]
    commands = re.findall(r"<!-- (?:run|test) -->\n```bash\n(.*?)```", README, re.S)
    assert len(commands) == 2
    assert apart
    for command in commands:
        assert all(f".venv/bin/pip install -q {install} &&" in command for install in apart)


def test_aliases_that_are_named_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = set(re.findall(r"`(hllm-\w+)`", README))
    assert named
    assert named <= set(project["scripts"])
