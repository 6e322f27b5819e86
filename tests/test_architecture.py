"""The structure that docs/architecture.md promises: who may import what, and how long files get."""

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
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
MOST_MODULES_OF_SERVING = (
    # 2 encode items that are written; blend, explanations, ranker, re-ranking, manifests
    38
)


def name(path):
    return path.relative_to(ROOT).as_posix()


@cache
def source(path):
    return path.read_text(encoding="utf-8")


@cache
def nodes(path):
    """All nodes of a file's syntax tree: parsed once for all tests."""
    return list(ast.walk(ast.parse(source(path))))


def found_in_sources(check):
    """What a check finds in any file, as lines that name file and place."""
    return [f"{name(path)}: {problem}" for path in SOURCES for problem in check(path)]


def imported(path):
    """Top-level names of all imports anywhere in a file."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def forbidden_imports(path):
    forbidden = set()
    if name(path).startswith("hllm/"):
        forbidden |= {"app", "gradio", "sqlite_utils", "sqlite3"}
    if name(path) not in ("app.py", "app/ui.py", "app/api.py"):
        forbidden.add("gradio")
    if not name(path).startswith("app/catalog/postgres/"):
        forbidden |= {"psycopg", "psycopg_pool"}
    if not SQLITE_MODULES.fullmatch(name(path)):
        forbidden |= {"sqlite_utils", "sqlite3"}
    return [f"imports {module}" for module in sorted(imported(path) & forbidden)]


# What asks other machines; gradio and huggingface_hub could, and are told not to elsewhere.
CLIENTS = {"httpx", "requests", "aiohttp", "urllib3", "huggingface_hub", "ftplib", "smtplib"}
ONLY_DOWNLOADER = "app/get/download.py"
ONLY_ITS_CALLER = "app/get/prepare.py"


def network_clients(path):
    """Imports by which a file could ask other machines, the downloader's own included."""
    if name(path) == ONLY_DOWNLOADER:
        return []
    found = sorted(imported(path) & CLIENTS)
    text = source(path)
    found += [word for word in ("urllib.request", "http.client") if f"import {word}" in text]
    if name(path) != ONLY_ITS_CALLER and "app.get.download" in text:
        found.append("app.get.download")
    return [f"imports {module}" for module in found]


def test_only_the_downloader_can_ask_other_machines():
    assert found_in_sources(network_clients) == []


def test_starting_the_app_without_names_does_not_import_the_downloader():
    code = (
        "import sys; from app.get.prepare import prepared; from app.settings import Settings\n"
        "prepared(Settings()); print('app.get.download' in sys.modules, 'httpx' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]


def test_imports_flow_from_the_app_to_the_recommender():
    assert found_in_sources(forbidden_imports) == []


def imported_files(path):
    """Files of the project that a file imports, anywhere in it and for its types alone, too."""
    for node in nodes(path):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        places = (ROOT / name.replace(".", "/") for name in names)
        yield from (place.with_suffix(".py") for place in places if not place.is_dir())


def test_no_file_imports_itself_by_a_detour():
    known = set(SOURCES)
    TopologicalSorter({path: known & set(imported_files(path)) for path in SOURCES}).prepare()


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


def unexplained_imports(path):
    lines = {
        node.lineno
        for function in nodes(path)
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    text = source(path).splitlines()
    return [f"line {n}" for n in sorted(lines) if not LAZY_IMPORT_REASON.search(text[n - 1])]


def test_imports_are_at_the_top_or_say_why_not():
    unexplained = found_in_sources(unexplained_imports)
    assert unexplained == [], "write  # noqa: PLC0415  and the reason, or import at the top"


LOADERS = {"from_pretrained", "SentenceTransformer"}


def unsafe_loaders(path):
    """Every call says so itself: the default of some asks whoever sits at the keyboard."""
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        is_safe = True
        if called == "super().from_pretrained":  # HLLM's own: hands on options that it has set
            is_safe = "'trust_remote_code': False" in ast.unparse(ast.parse(source(path)))
        elif called == "Recommender.from_pretrained":  # ours, which has no such option
            continue
        elif called.rpartition(".")[2] in LOADERS or called == "AutoModel.from_config":
            is_safe = options.get("trust_remote_code") == "False"
        elif called == "torch.load":
            is_safe = options.get("weights_only") == "True"
        if not is_safe:
            yield f"line {node.lineno}: {called}"


def test_no_loader_runs_code_of_a_folder():
    assert found_in_sources(unsafe_loaders) == []


def long_functions(path):
    for node in nodes(path):
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{node.name} has {length} lines"


def test_functions_stay_short():
    assert found_in_sources(long_functions) == []


def long_or_silent(path):
    length = len(source(path).splitlines())
    if length > MAX_LINES:
        yield f"{length} lines: look for a second responsibility in it"
    if not ast.get_docstring(nodes(path)[0]):
        yield "the first line must say what the file is for"


def test_files_stay_short_and_say_what_they_are_for():
    assert found_in_sources(long_or_silent) == []


def namesake(path):
    """Where the tests of a module are: app/x.py -> tests/app/test_x.py."""
    module = path.relative_to(ROOT)
    return ROOT / "tests" / module.parent / f"test_{module.stem.strip('_')}.py"


def test_every_module_has_its_tests_in_a_file_of_its_name():
    modules = [path for path in SOURCES if path.parent != ROOT and path.name != "__init__.py"]
    assert [name(path) for path in modules if not namesake(path).is_file()] == []


@pytest.mark.parametrize(
    ("path", "check", "problem"),
    [
        ("hllm/x.py", forbidden_imports, "imports sqlite3"),
        ("hllm/x.py", unexplained_imports, "line 3"),
        ("hllm/x.py", unsafe_loaders, "line 4: AutoModel.from_pretrained"),
        ("hllm/x.py", long_functions, "f has 52 lines"),
        ("hllm/x.py", long_or_silent, "the first line must say what the file is for"),
    ],
)
def test_the_checks_find_what_they_look_for(tmp_path, monkeypatch, path, check, problem):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / path).parent.mkdir()
    lines = ["import os", "def f():", "    import sqlite3", "    AutoModel.from_pretrained('x')"]
    (tmp_path / path).write_text("\n".join([*lines, *["    pass"] * 49]))
    assert problem in list(check(tmp_path / path))


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
