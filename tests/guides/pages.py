"""What the pages of the documentation tell people to type, and which test types it."""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = (
    r"(?:\w+=\S+ )*(?:\.venv/bin/)?(?:python3?|pip|torchrun|ray|hf|npm|pytest|ruff|mypy|docker"
    r"|createuser|psql|sbatch|apt-get|chmod|curl|gradio)"
)
LANGUAGES = ("bash", "python")
# A program and no more: "`python -m hllm.checkpoint convert` turns one into a model folder".
NAME_ALONE = re.compile(
    r"python -m (?:app|hllm)\.(?:catalog|checkpoint|events|exchange|ingest) \w+"
    r"|python -m \S+|python (?:app|benchmarks/\w+)\.py|pip \w+|hf \w+ \w+|chmod \d+"
)


@dataclass(frozen=True)
class Block:
    """A fenced part of a page.

    Attributes:
        page: file name of the page.
        line: of the opening fence.
        name: of the comment above it; "" if there is none.
        language: behind the opening fence.
        text: between the fences.
    """

    page: str
    line: int
    name: str
    language: str
    text: str


@cache
def text_of(page):
    """The text of a page, which is named by its file name."""
    (path,) = (path for path in PAGES if path.name == page)
    return path.read_text(encoding="utf-8")


@cache
def blocks(page):
    """All fenced parts of a page, in order."""
    text = text_of(page)
    fences = re.finditer(
        r"(?:^ *<!-- ([\w-]+) -->\n)?^( *)```(\w*)\n(.*?)^\2```$", text, re.M | re.S
    )
    return [
        Block(page, text.count("\n", 0, found.end(1) + 1 if found[1] else found.start()) + 1,
              found[1] or "", found[3], dedent(found[4]))
        for found in fences
    ]  # fmt: skip


@cache
def prose(page):
    """A page without its fenced parts."""
    return re.sub(r"^( *)```.*?^\1```$", "", text_of(page), flags=re.M | re.S)


@cache
def inline_commands(page):
    """The commands within the sentences of a page, but for those that leave something out."""
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))
    return {
        span
        for span in spans
        if re.match(rf"{PROGRAMS} ", span) and not NAME_ALONE.fullmatch(span) and "..." not in span
    }


def block(page, name):
    """The text of the block of a page that stands below ``<!-- name -->``."""
    (found,) = (one for one in blocks(page) if one.name == name)
    return found.text


def inline(page, command):
    """A command within a sentence of a page: the page must have it."""
    assert command in inline_commands(page), f"{page} does not say `{command}`"
    return command


@cache
def typed_by_tests():
    """What tests type: (page, name of a block) and (page, command within a sentence)."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if "tests.guides.pages" in text:
            found |= set(_typed_by(ast.parse(text)))
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return found | {(page, name) for page, name in re.findall(r"page_command (\S+) (\w+)", script)}


def _typed_by(tree):
    """The arguments of block() and inline() in a test file: texts, or names of such."""
    named = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("block", "inline"):
            page, command = (named.get(ast.unparse(one), one) for one in node.args)
            yield ast.literal_eval(page), ast.literal_eval(command)
