"""What docs/ says of the tree is true: the table of files, the arrows between rooms, every name.

``python tests/test_docs.py`` writes the table of files into docs/architecture.md anew.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DECISIONS = ROOT / "docs" / "decisions.md"
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BEGIN, END = "<!-- files: python tests/test_docs.py writes this -->", "<!-- /files -->"
SOURCE_ROOTS = ("app", "hllm", "assets", "tests", "benchmarks", "docs", ".ci")


# ---- every file, one line ----


def listed_files():
    """Python of the app and the recommender, and the page's scripts."""
    found = [*ROOT.glob("app/**/*.py"), *ROOT.glob("hllm/**/*.py"), *ROOT.glob("assets/**/*.js")]
    return sorted(path for path in [ROOT / "app.py", *found] if "node_modules" not in path.parts)


def purpose(path):
    """What a file says of itself: the first line of its docstring, or its first sentence."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    else:
        lines = re.match(r"(?://.*\n)*", text).group().splitlines()
        comment = " ".join(line.removeprefix("//").strip() for line in lines)
        first = re.split(r"(?<=\w)\. ", comment)[0]
    assert first, f"{path.relative_to(ROOT)} does not say what it is for in its first line"
    return first.rstrip(".").replace("|", r"\|")


def file_tables():
    """The part of docs/architecture.md that lists the files, one table a folder."""
    folders = {}
    for path in listed_files():
        folders.setdefault(path.parent, []).append(path)
    lines = []
    for folder, paths in sorted(folders.items()):
        name = folder.relative_to(ROOT).as_posix()
        lines += ["", f"### {'The root' if name == '.' else name + '/'}", ""]
        package = folder / "__init__.py"
        if package in paths:
            lines += [f"`__init__.py`: {purpose(package)}.", ""]
        lines += ["| File | What it is for |", "|---|---|"]
        lines += [f"| `{path.name}` | {purpose(path)} |" for path in paths if path != package]
    return "\n".join([*lines, ""])


def split_at_tables():
    before, rest = ARCHITECTURE.read_text(encoding="utf-8").split(BEGIN + "\n")
    tables, after = rest.split(END)
    return before, tables, after


def test_architecture_lists_every_file_once_with_its_own_words():
    assert split_at_tables()[1] == file_tables(), "run  python tests/test_docs.py"
    folder, named = "", []
    for line in split_at_tables()[1].splitlines():
        if heading := re.fullmatch(r"### (.+)", line):
            folder = "" if heading[1] == "The root" else heading[1]
        elif row := re.match(r"(?:\| )?`([\w.]+)`", line):
            named.append(folder + row[1])
    assert sorted(named) == sorted(p.relative_to(ROOT).as_posix() for p in listed_files())


# ---- arrows between rooms ----


@cache
def rooms():
    """The table in docs/decisions.md: room -> (its modules or its folder, rooms it may import)."""
    text = DECISIONS.read_text(encoding="utf-8")
    table = text.split("| Room | Modules of `hllm` | May import |")[1].split("\n\n")[0]
    found = {}
    for line in table.splitlines()[2:]:
        room, modules, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        names = set(re.findall(r"`([\w/]+)`", modules))
        found[room] = names, set() if allowed == "nothing" else set(allowed.split(", "))
    return found


def room_of(module):
    """The room of a dotted name such as hllm.serving.index."""
    part = module.split(".")[1] if "." in module else "hllm"
    holders = [room for room, (names, _) in rooms().items() if {part, f"{part}/"} & names]
    assert len(holders) == 1, f"{module} stands in {len(holders)} rows of docs/decisions.md"
    return holders[0]


def hllm_imports(path):
    """Modules of hllm that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("hllm."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hllm."):
            yield node.module


def test_the_table_of_rooms_has_no_way_back_up():
    below = set()
    for room, (_, allowed) in rooms().items():
        assert allowed <= below, f"{room} may only import rooms that stand above it in the table"
        below.add(room)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("hllm/**/*.py")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_imports_follow_the_arrows_between_rooms(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module == "hllm.__init__":
        return  # names of any room, imported when they are used
    own = room_of(module)
    allowed = rooms()[own][1] | {own}
    used = {room_of(name) for name in hllm_imports(path)}
    assert used <= allowed, f"{own} may import {', '.join(sorted(allowed))}"


# ---- names in the text ----


def definitions(tree):
    """Top-level names of a module or a class body, and the syntax of those that are classes."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found |= {t.id: None for t in node.targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = None
        elif isinstance(node, ast.ImportFrom):  # what a package offers of its modules
            found |= {alias.asname or alias.name: None for alias in node.names}
    return found


def is_defined(dotted):
    """Whether a name such as hllm.model.HLLM.encode_items is a module, or defined in one."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:count])
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if module.exists():
            tree, rest = ast.parse(module.read_text(encoding="utf-8")), parts[count:]
            while rest and tree is not None:
                known = definitions(tree)
                if rest[0] not in known:
                    return False
                tree, rest = known[rest[0]], rest[1:]
            return not rest
    return False


def code_in(page):
    """The words in `code` of a page, and those of its fenced blocks."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"```.*?\n(.*?)```", text, re.S)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [word for code in [*inline, *fenced] for word in code.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_names_in_the_text_exist(page):
    dotted = {
        found[0]
        for word in code_in(page)
        if (found := re.match(r"(?:hllm|app)(?:\.\w+)+(?![\w/]|\.\w)", word))
    } - {"app.py"}
    assert [name for name in sorted(dotted) if not is_defined(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_in_the_text_exist(page):
    starts = "|".join(map(re.escape, SOURCE_ROOTS))
    paths = {
        found[0].rstrip("/")
        for word in code_in(page)
        if (found := re.match(rf"(?:{starts})/[\w./-]*\w(?![\w*])", word)) and "*" not in word
    }
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", other.read_text(encoding="utf-8"), re.M)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in slugs, f"{page.name} links to {target}"


if __name__ == "__main__":
    before, _, after = split_at_tables()
    ARCHITECTURE.write_text(before + BEGIN + "\n" + file_tables() + END + after, encoding="utf-8")
