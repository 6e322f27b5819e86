"""Records that cannot be imported are kept with line and reason, once, until they are mended."""

from pathlib import Path

from app.catalog import Catalog
from app.ingest.rejects import read_rejects, rejects_path
from tests.app.ingest.imports import import_pair

BAD_ITEMS = """item_id,title,description
i0,Good,one
,No id,two
i1,Too,many,columns
i2,"Quoted
over lines",three
i3
i4,Good,four
"""


def test_rejects_are_kept_with_line_and_reason_and_only_once(files):
    files["items"].write_text(BAD_ITEMS)
    files["interactions"].write_text(
        "item_id,user_id,timestamp\ni0,u,1\ni0,,2\ni0,u,later\ni2,u,3\ngone,u,4\n"
    )
    for _ in range(2):
        assert import_pair(files) == 0
        rejects = list(read_rejects(rejects_path(files["catalog"])))
        assert [
            (Path(entry["file"]).name, entry["line"], entry["reason"], entry["raw"])
            for entry in rejects
        ] == [
            ("items.csv", 3, "item_id is empty", ",No id,two"),
            ("items.csv", 4, "has 4 columns where the header has 3", "i1,Too,many,columns"),
            ("items.csv", 7, "has 1 columns where the header has 3", "i3"),
            ("interactions.csv", 3, "user_id is empty", "i0,,2"),
            (
                "interactions.csv",
                4,
                "timestamp 'later' is neither a number nor an ISO date",
                "i0,u,later",
            ),
        ]
    catalog = Catalog.open(files["catalog"])
    assert list(catalog.get(["i0", "i2", "i4"])) == ["i0", "i2", "i4"]
    assert list(catalog.iter_interactions()) == [("u", "i0", 1), ("u", "i2", 3)]


def test_mended_records_leave_the_rejects(files):
    files["items"].write_text(BAD_ITEMS)
    assert import_pair(files) == 0
    files["items"].write_text("item_id,title,description\ni0,Good,one\n")
    assert import_pair(files) == 0
    assert not rejects_path(files["catalog"]).exists()
