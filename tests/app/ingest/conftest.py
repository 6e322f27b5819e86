"""Files to import, and what an import of them leaves."""

import pytest

from app.catalog import Catalog
from app.ingest.__main__ import main


@pytest.fixture
def files(tmp_path):
    """A csv pair of 50 items and 300 interactions, and a place for their catalogue."""
    items = tmp_path / "items.csv"
    rows = [f"i{n},Title {n},Text {n}" for n in range(50)]
    items.write_text("\n".join(["item_id,title,description", *rows]) + "\n")
    interactions = tmp_path / "interactions.csv"
    rows = [f"i{n % 50},u{n % 7},{n}" for n in range(300)]
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")
    return {"items": items, "interactions": interactions, "catalog": tmp_path / "c.db"}


@pytest.fixture
def run(tmp_path, capsys):
    """Write files and import them: returns the exit code and all that was said."""
    count = 0

    def run(format_name, *more, **files):
        nonlocal count
        arguments = [format_name, "--catalog", str(tmp_path / "c.db"), *more]
        for option, (name, content) in files.items():
            count += 1
            path = tmp_path / f"{count}_{name}"
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            arguments += [f"--{option}", str(path)]
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture
def stored(tmp_path):
    """Reads the items of c.db, by id."""

    def stored():
        with Catalog.open(tmp_path / "c.db") as catalog:
            return {item.item_id: item for item in catalog.iter_items()}

    return stored


@pytest.fixture(params=["", ".gz"])
def ending(request):
    """Of a plain file and of a packed one."""
    return request.param
