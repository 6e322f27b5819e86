"""What a kill, or a disk that fills up, at any write leaves of catalogues: the old or the new."""

import pytest

from tests.faults import DIED, num_killed_of, outcomes_of

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


KILLED = {"create": CREATE, "first start": f"REPLACES = True\n{FIRST_START}", "import": IMPORT,
          "export": EXPORT}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", KILLED)
def test_after_a_kill_at_any_moment_the_same_command_succeeds(name, tmp_path):
    assert num_killed_of(KILLED[name], tmp_path, count=15, seed=name) > 0
