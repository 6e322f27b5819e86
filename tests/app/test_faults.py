"""What a kill, or a disk that fills up, at any write leaves of catalogues: the old or the new."""

import pytest

from tests.faults import DIED, ROOT, num_killed_of, outcomes_of

CREATE = """
from app.catalog import Catalog
def before(folder): pass
def work(folder): Catalog.create(folder / "c.db", "My films").close()
def after(folder, code):
    with Catalog.create(folder / "c.db", "My films") as catalog:
        assert catalog.name == "My films" and catalog.num_items == 0
    assert not list(folder.glob(".*.partial*"))
"""

FIRST_START = """
from app import opening
from app.books.facts import build_books_catalog, load_books
from app.catalog import Catalog, Query
from app.settings import Settings
BOOKS = load_books()[:40]
def before(folder):
    if REPLACES:
        build_books_catalog(folder / "books.db", BOOKS[:10])
opening.load_books = lambda: BOOKS
opening.build_books_catalog = lambda path: build_books_catalog(path, BOOKS)
def work(folder): opening._open_catalog(Settings(data_dir=folder)).close()
def after(folder, code):
    path = folder / "books.db"
    if code == 2 and path.exists():  # a full disk: the old one, which still answers
        with Catalog.open(path) as catalog:
            assert catalog.num_items in (10, 40)
    work(folder)
    with Catalog.open(path) as catalog:
        assert catalog.num_items == 40 and catalog.name == "Books"
        assert catalog.page(Query(search="dune"), limit=1) is not None
    assert not list(folder.glob(".*.partial*"))
"""


def are_as_expected(outcomes, full):
    """Died every time; or one sentence, unless all was done when the disk was full."""
    return {2} <= set(outcomes) <= {2, 3} if full else set(outcomes) == {DIED}


@pytest.mark.parametrize("full", [False, True])
def test_a_catalogue_is_created_whole_or_not_at_all(tmp_path, full):
    outcomes = outcomes_of(CREATE, tmp_path, full=full, stride=19)
    assert len(outcomes) > 10 and are_as_expected(outcomes, full)


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("replaces", [False, True])
def test_a_first_start_makes_the_built_in_catalogue_whole_or_not_at_all(tmp_path, full, replaces):
    setup = f"REPLACES = {replaces}\n{FIRST_START}"
    outcomes = outcomes_of(setup, tmp_path, full=full, stride=23)
    assert len(outcomes) > 10 and are_as_expected(outcomes, full)


IMPORT = """
from app.catalog import Catalog
from app.ingest import run
from app.ingest.__main__ import main
run.BATCH = {"items": 40, "interactions": 100}
ITEMS = "item_id,title\\n" + "".join(f"i{n},Dune {n}\\n" for n in range(100)) + ",no id\\n"
PAIRS = "item_id,user_id,timestamp\\n" + "".join(f"i{n % 100},u{n % 7},{n}\\n" for n in range(300))
def before(folder):
    (folder / "items.csv").write_text(ITEMS)
    (folder / "pairs.csv").write_text(PAIRS)
def work(folder):
    return main(["table", "--catalog", str(folder / "c.db"), "--name", "Mine",
                 "--items", str(folder / "items.csv"), "--interactions", str(folder / "pairs.csv")])
def after(folder, code):
    if (folder / "c.db").exists():  # whatever has come in, it opens
        with Catalog.open(folder / "c.db") as catalog:
            assert catalog.name == "Mine" and catalog.num_items in (0, 40, 80, 100)
    assert work(folder) == 0
    with Catalog.open(folder / "c.db") as catalog:
        assert (catalog.num_items, catalog.count_interactions(), catalog.is_stale) == (
            100, (300, 7), False)
    rejects = (folder / "c.db.rejects.jsonl").read_text().splitlines()
    assert len(rejects) == 1 and "items.csv" in rejects[0]
    assert not list(folder.glob(".*.partial*"))
"""

EXPORT = """
from app.catalog import Catalog, CatalogItem
from app.ingest.__main__ import main
NAMES = ("items.csv", "interactions.csv")
def before(folder):
    with Catalog.create(folder / "c.db") as catalog:
        catalog.add_items(CatalogItem(item_id=f"i{n}", title="t" * 1000) for n in range(100))
        catalog.add_interactions([("u", f"i{n}", n) for n in range(100)])
    (folder / "out").mkdir()
    for name in NAMES:
        (folder / "out" / name).write_text("old")
def work(folder):
    return main(["export", "--catalog", str(folder / "c.db"), "--output", str(folder / "out")])
def lines(folder):
    return [len((folder / "out" / name).read_text().splitlines()) for name in NAMES]
def after(folder, code):
    assert set(lines(folder)) <= {1, 101}  # each the old one or the new
    assert work(folder) == 0 and lines(folder) == [101, 101]
    assert sorted(path.name for path in (folder / "out").iterdir()) == sorted(NAMES)
"""


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("setup", "stride"), [(IMPORT, 37), (EXPORT, 2)])
def test_import_and_export_go_on_after_whatever_fails(tmp_path, full, setup, stride):
    outcomes = outcomes_of(setup, tmp_path, full=full, stride=stride)
    assert len(outcomes) > 5 and are_as_expected(outcomes, full)


# Steps of the build are commands of their own; these files are what it writes itself.
BUILD = """
import json
from app.build import _write_options
from app.build_record import BuildRecord
def before(folder):
    (folder / "items.csv").write_text("item_id,title\\n")
    (folder / "preset.json").write_text('{"text_keys": ["title"]}')
    work(folder)
def work(folder):
    record = BuildRecord.open(folder / "run", {"items": [folder / "items.csv"]}, ["table"])
    record.begin("options")
    _write_options(folder / "run/options.json", str(folder / "preset.json"), folder, folder)
    record.finish("options")
def after(folder, code):
    steps = json.loads((folder / "run/build.json").read_text())["done"]
    assert steps in ([], ["options"])
    assert json.loads((folder / "run/options.json").read_text()) == {"text_keys": ["title"]}
    work(folder)
    assert json.loads((folder / "run/build.json").read_text())["done"] == ["options"]
    assert sorted(path.name for path in (folder / "run").iterdir()) == [
        "build.json", "options.json"]
"""

EVENTS = """
from app.catalog import Catalog
from app.catalog.events import Event, EventFile, events_path
from app.events.__main__ import main
NAMES = ("events.csv", "events.html")
def before(folder):
    Catalog.create(folder / "c.db").close()
    file = EventFile(events_path(folder / "c.db"))
    file.add(Event(time=float(n), session="s", kind="shown", model="hllm", item_ids=["a"])
             for n in range(50))
    file.close()
    for name in NAMES:
        (folder / name).write_text("old")
def work(folder):
    return (main(["export", str(folder / "c.db"), str(folder / NAMES[0])])
            or main(["plot", str(folder / "c.db"), str(folder / NAMES[1])]))
def lines(folder):
    return len((folder / NAMES[0]).read_text().splitlines())
def after(folder, code):
    assert lines(folder) in (1, 51)
    picture = (folder / NAMES[1]).read_text()
    assert picture == "old" or picture.rstrip().endswith("</html>")
    assert work(folder) == 0 and lines(folder) == 51
    assert not list(folder.glob(".*.partial*"))
"""

SIMULATE = """
from app.books.simulate import main
def before(folder): work(folder, 20)
def work(folder, readers=30):
    return main(["--output", str(folder), "--readers", str(readers)])
def readers(folder):
    rows = (folder / "interactions.csv").read_text().splitlines()[1:]
    return len({row.split(",")[1] for row in rows})
def after(folder, code):
    assert readers(folder) in (20, 30)
    assert work(folder) == 0 and readers(folder) == 30
    assert sorted(path.name for path in folder.iterdir()) == ["interactions.csv", "items.csv"]
"""

# The page's pictures, which serving makes small and keeps if it can.
PICTURES = """
import io
from PIL import Image
from app.picture_files import SmallPictures
def before(folder):
    Image.effect_noise((300, 300), 90).convert("RGB").save(folder / "a.png")
def work(folder):
    assert SmallPictures(folder / "small").get(folder / "a.png")
def after(folder, code):
    work(folder)
    (kept,) = (folder / "small").iterdir()
    Image.open(io.BytesIO(kept.read_bytes())).load()
"""

EXPORT_STATIC = """
import gzip, json
from app import export_static
from app.static_space import export, files
def write(folder, settings, tell):
    files.write_json(folder, "data/data.json.gz", WHAT)
    files.write_parts(folder, "model/user_llm", b"x" * 5000)
    (folder / "index.html").write_text("<!doctype html>")
    tell("written")
export.write_static = write
def before(folder):
    global WHAT
    WHAT = "old"
    work(folder)
    WHAT = "new"
def work(folder): return export_static.main([str(folder / "page")])
def read(page): return json.loads(gzip.decompress((page / "data/data.json.gz").read_bytes()))
def after(folder, code):
    # Between two renames the old page stands under a name beside it.
    pages = [page for page in (folder / "page", folder / ".page.old") if page.exists()]
    assert pages and read(pages[0]) in ("old", "new")
    assert (pages[0] / "index.html").read_text() == "<!doctype html>"
    assert not work(folder) and read(folder / "page") == "new"
    assert [path.name for path in folder.iterdir()] == ["page"]
"""

# Of app.catalog: tests/app/catalog/test_backup.py; of app.get: tests/app/get/test_download.py.
COMMANDS = {"build": BUILD, "events": EVENTS, "ingest import": IMPORT, "ingest export": EXPORT,
            "books.simulate": SIMULATE, "export_static": EXPORT_STATIC}  # fmt: skip
READS_ALONE = {"doctor"}
STRIDES = {"books.simulate": 3}  # the simulation takes a second


def test_every_command_is_among_them():
    modules = {
        ".".join(path.relative_to(ROOT / "app").with_suffix("").parts).removesuffix(".__main__")
        for path in ROOT.glob("app/**/*.py")
        if 'if __name__ == "__main__"' in path.read_text()
    }
    assert {name.split()[0] for name in COMMANDS} | READS_ALONE | {"catalog", "get"} == modules


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", ["build", "events", "books.simulate", "export_static"])
def test_what_a_command_writes_is_the_old_or_the_new(tmp_path, full, name):
    outcomes = outcomes_of(COMMANDS[name], tmp_path, full=full, stride=STRIDES.get(name, 1))
    assert len(outcomes) > 2 and are_as_expected(outcomes, full)


@pytest.mark.parametrize("full", [False, True])
def test_a_picture_that_cannot_be_kept_is_shown(tmp_path, full):
    outcomes = outcomes_of(PICTURES, tmp_path, full=full)
    assert set(outcomes) == ({3} if full else {DIED})


KILLED = {"create": CREATE, "first start": f"REPLACES = True\n{FIRST_START}", "import": IMPORT,
          "export": EXPORT}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", KILLED)
def test_after_a_kill_at_any_moment_the_same_command_succeeds(name, tmp_path):
    assert num_killed_of(KILLED[name], tmp_path, count=15, seed=name) > 0
