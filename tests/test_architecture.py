"""The structure that docs/architecture.md promises: who may import what, and how long files get."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("app/**/*.py"), *ROOT.glob("hllm/**/*.py"), ROOT / "app.py"])
MAX_LINES = 400
MAX_FUNCTION_LINES = 50
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAX_BYTES = 10_000_000
SQLITE_MODULES = re.compile(r"app/catalog/\w+\.py")
LAZY_IMPORT_REASON = re.compile(r"# noqa: PLC0415\s+\S+")
# What answering a click needs: not the workshop.
SERVING_NEVER_IMPORTS = ("pandas", "peft", "hllm.training", "hllm.published", "hllm.baselines")
MOST_MODULES_OF_SERVING = 26


def name(path):
    return path.relative_to(ROOT).as_posix()


def imported(path):
    """Top-level names of all imports anywhere in a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_flow_from_the_app_to_the_recommender(path):
    modules = imported(path)
    if name(path).startswith("hllm/"):
        assert not modules & {"app", "gradio", "sqlite_utils", "sqlite3"}
    if name(path) not in ("app.py", "app/ui.py"):
        assert "gradio" not in modules
    if not SQLITE_MODULES.fullmatch(name(path)):
        assert not modules & {"sqlite_utils", "sqlite3"}


def test_recommending_does_not_import_the_workshop():
    code = "import sys, hllm.recommend; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = set(done.stdout.split())
    assert [m for m in SERVING_NEVER_IMPORTS if m in modules] == []
    own = [
        module
        for module in modules
        if module.startswith("hllm.") and (ROOT / f"{module.replace('.', '/')}.py").is_file()
    ]
    assert len(own) <= MOST_MODULES_OF_SERVING, sorted(own)


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_imports_are_at_the_top_or_say_why_not(path):
    text = path.read_text(encoding="utf-8")
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))
    lines = {
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    unexplained = [
        line for line in sorted(lines) if not LAZY_IMPORT_REASON.search(text.splitlines()[line - 1])
    ]
    assert unexplained == [], "write  # noqa: PLC0415  and the reason, or import at the top"


LOADERS = {"from_pretrained", "SentenceTransformer"}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_loader_runs_code_of_a_folder(path):
    """Every call says so itself: the default of some asks whoever sits at the keyboard."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"line {node.lineno}: {called}"
        if called == "super().from_pretrained":  # HLLM's own: hands on options that it has set
            assert "'trust_remote_code': False" in ast.unparse(ast.parse(path.read_text("utf-8")))
        elif called.rpartition(".")[2] in LOADERS or called == "AutoModel.from_config":
            assert options.get("trust_remote_code") == "False", where
        elif called == "torch.load":
            assert options.get("weights_only") == "True", where


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_functions_stay_short(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_stay_short_and_say_what_they_are_for(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES, "look for a second responsibility in it"
    assert ast.get_docstring(ast.parse(text)), "the first line says the file's responsibility"


def test_no_file_is_too_large_for_a_space():
    large = [p for d in ("assets", "docs", "app", "hllm", "tests") for p in (ROOT / d).rglob("*")]
    assert [name(p) for p in large if p.is_file() and p.stat().st_size > MAX_BYTES] == []


def test_readme_names_files_that_exist_and_stays_readable():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), f"README.md links to {target}"
    tree = re.search(r"## Where things are.*?```\n(.*?)```", text, re.S).group(1)
    for entry in (line.split()[0] for line in tree.splitlines() if line):
        assert (ROOT / entry).exists(), f"README.md lists {entry}"
