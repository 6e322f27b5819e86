import re
import subprocess

import pytest

from app import map_routes, ui
from app.bundle import bundle, minified
from app.settings import ROOT
from app.static_space import page as static_page

PAGE = ROOT / "assets" / "page"
OF_MAP = {"map_view", "map_points", "map_touch", "map_marks"}
ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"


def write(folder, **sources):
    for name, source in sources.items():
        (folder / f"{name}.js").write_text(source, "utf-8")
    return folder / "page.js"


def test_what_is_imported_comes_first_and_once(tmp_path):
    page = write(
        tmp_path,
        page='import { b } from "./b.js";\nimport {\n  a,\n} from "./a.js";\n\nstart(a, b);\n',
        b='import { a } from "./a.js";\nexport async function b() {}\n',
        a="export const a = 1;\nconst other = 2;\n",
        alone="export const alone = 1;\n",
    )
    assert bundle(page).split("\n") == [
        "const a = 1;",
        "const other = 2;",
        "",
        "async function b() {}",
        "",
        "",
        "start(a, b);",
        "",
    ]


def test_name_of_two_modules_is_refused(tmp_path):
    page = write(
        tmp_path,
        page='import { a } from "./a.js";\nconst LIMIT = 1;\n',
        a="export function a() {}\nfunction LIMIT() {}\n",
    )
    with pytest.raises(ValueError, match=r"LIMIT is declared in a\.js and in page\.js"):
        bundle(page)


def test_circle_is_refused(tmp_path):
    page = write(
        tmp_path, page='import { a } from "./a.js";\n', a='import { p } from "./page.js";\n'
    )
    with pytest.raises(ValueError, match=r"page\.js imports itself through a\.js"):
        bundle(page)


@pytest.mark.parametrize(
    "line",
    [
        'import a from "./a.js";',
        'import { a as b } from "./a.js";',
        'import "./a.js";',
        "export default function a() {}",
        "export { a };",
        "export let a = 1;",
    ],
)
def test_what_would_lose_its_meaning_is_refused(tmp_path, line):
    page = write(tmp_path, page=f"{line}\n", a="export const a = 1;\n")
    with pytest.raises(ValueError, match=r"page\.js: this cannot be bundled: (import|export) "):
        bundle(page)


def test_page_has_every_module_and_each_says_what_it_is_for():
    scripts = {name: bundle(PAGE / name) for name in ("page.js", "static.js", "map_view.js")}
    script, without_server, of_map = scripts.values()
    assert not re.search(r"^(import|export)\b", without_server, re.M)
    for module in PAGE.glob("*.js"):
        headline = module.read_text("utf-8").split("\n", 1)[0]
        assert headline.startswith("// ") and len(headline) > len("// ")
        # contract.js holds types only: nothing of it runs.
        is_part = module.name != "contract.js"
        if module.stem in OF_MAP:  # loaded when the map is opened
            assert headline in of_map and headline not in script + without_server
            continue
        assert (headline in without_server) == is_part, module.name
        assert (headline in script) == (is_part and not module.stem.startswith("static"))


@pytest.mark.skipif(not ESBUILD.exists(), reason="npm ci has not been run")
@pytest.mark.parametrize(
    ("entry", "start"),
    [
        ("page.js", ui.START),
        ("static.js", static_page.START),
        ("map_view.js", map_routes.START),
    ],
)
def test_without_comments_it_is_the_same_script(entry, start):
    whole = f"{bundle(PAGE / entry)}\n{start}\n"
    assert minified(PAGE / entry, start).count("\n") < whole.count("\n") / 2
    assert parsed(minified(PAGE / entry, start)) == parsed(whole)


@pytest.mark.skipif(not ESBUILD.exists(), reason="npm ci has not been run")
def test_a_blank_that_is_lost_is_found(tmp_path):
    page = write(tmp_path, page="const found = (n) => `rows ${n ? `${n} would` : 'none'} fall`;\n")
    assert parsed(minified(page, "found(1);")) != parsed(f"{page.read_text()}found(1);")


def parsed(script):
    """A script as another program reads it and writes it again."""
    command = [ESBUILD, "--minify-whitespace", "--loader=js"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    return done.stdout


def test_every_action_of_the_page_is_known():
    page = (PAGE / "page.js").read_text("utf-8")
    table = re.search(r"const actions = \{\n(.*?)\n  \};", page, re.S)[1]
    known = set(re.findall(r'^    "?([\w-]+)"?:', table, re.M))
    sources = [*ROOT.glob("app/*.py"), ROOT / "assets" / "page.html"]
    used = {
        name
        for source in sources
        for name in re.findall(r'data-action="([\w-]+)"', source.read_text("utf-8"))
    }
    retried = {
        name
        for source in PAGE.glob("*.js")
        for name in re.findall(r'retryButton\("([\w-]+)"\)', source.read_text("utf-8"))
    }
    assert known == used | retried
