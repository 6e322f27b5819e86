"""Every command of the documentation is typed by a test, or stands here with the reason why not.

A new command on a page: write ``<!-- name -->`` in the line above its fence, and let a test type
``block("page.md", "name")``; within a sentence, ``inline("page.md", "the command")``. The fixture
`reader` (tests/guides/conftest.py) types it as a reader would, in a copy of the project.
"""

import re

import pytest

from tests.guides.pages import (
    LANGUAGES,
    PAGES,
    PROGRAMS,
    blocks,
    inline_commands,
    prose,
    typed_by_tests,
)

# Pages that tell nobody to type anything: how a number was measured, or why something is so.
EXPLAINED = {
    "results.md": "minutes to days each, on data sets that are not shipped",
    "study.md": "a day of trainings on two data sets that are not shipped",
    "architecture.md": "what to type stands on the other pages",
    "decisions.md": "what to type stands on the other pages",
    "licences.md": "what to type stands on the other pages",
}
INSTALLS = "needs a package index; .ci/run installs the same"
PACKAGE = "needs a package index; tests/test_package.py installs what is built, without one"
TESTS = "runs tests, of which this is one"
ENGINE = "needs an engine of containers; tests/test_container.py carries the image out without one"
NOT_TYPED = {
    ("README.md", "pip install ."): PACKAGE,
    ("README.md", "pip install git+"): PACKAGE,
    ("CONTRIBUTING.md", "quick"): TESTS,
    ("CONTRIBUTING.md", "pytest -m slow"): TESTS,
    ("CONTRIBUTING.md", "pytest -m long"): TESTS,
    ("CONTRIBUTING.md", "apt-get install chromium"): INSTALLS,
    ("checkpoints.md", "pip install sentencepiece protobuf"): INSTALLS,
    ("cluster.md", "scale"): INSTALLS,
    ("cluster.md", "pip install -r requirements-postgres.txt -c constraints.txt"): INSTALLS,
    ("cluster.md", "ray start --head --node-ip-address=10.0.0.1"): (
        "needs a network of several machines; tests/hllm/cluster starts the nodes on this one"
    ),
    ("operations.md", "container"): ENGINE,
    ("operations.md", "container-data"): ENGINE,
    ("programs.md", "mcp-package"): INSTALLS,
    ("programs.md", "pip install gradio_client"): INSTALLS,
    ("space.md", "python -m pytest -m long tests/app/test_space.py"): TESTS,
    ("space.md", "python -m pytest -m long tests/test_torches.py"): TESTS,
    ("static.md", "hf upload NAME/SPACE demo . --repo-type space"): (
        "needs an account of the Hub; tests/app/test_space.py uploads with the same client"
    ),
}
NAMES = [path.name for path in PAGES]


def asked(page):
    """What a page tells people to type: the name of a block (or its line), or the command."""
    if page in EXPLAINED:
        return {}
    named = {
        one.name or f"line {one.line}": f"{page}, line {one.line}: `{one.text.splitlines()[0]}`"
        for one in blocks(page)
        if one.language in LANGUAGES
    }
    return named | {command: f"{page}: `{command}`" for command in inline_commands(page)}


@pytest.mark.parametrize("page", NAMES)
def test_a_test_types_it(page):
    known = typed_by_tests() | set(NOT_TYPED)
    missing = [said for key, said in asked(page).items() if (page, key) not in known]
    assert missing == [], f"no test types these; how one does is said in {__file__}"


@pytest.mark.parametrize("page", NAMES)
def test_a_block_of_commands_says_so(page):
    silent = [one for one in blocks(page) if one.language not in LANGUAGES]
    lines = [line for one in silent for line in one.text.splitlines()]
    lines += re.findall(r"^ {4,}.*", prose(page), re.M)
    found = [line for line in lines if re.match(rf" *(?:\$ )?{PROGRAMS} ", line)]
    assert found == [], "put them between ```bash and ```"


def test_nothing_is_typed_or_excused_that_no_page_says():
    said = {(page, key) for page in NAMES for key in asked(page)}
    assert typed_by_tests() - said == set()
    assert set(NOT_TYPED) - said == set()
    assert set(NOT_TYPED) & typed_by_tests() == set()


@pytest.mark.parametrize("page", NAMES)
def test_names_are_given_once(page):
    names = [one.name for one in blocks(page) if one.name]
    assert len(names) == len(set(names))
