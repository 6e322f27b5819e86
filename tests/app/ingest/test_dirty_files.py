"""Files as they lie about: other encodings, headers, lists, numbers and names of columns."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from app.catalog import Catalog
from app.ingest.__main__ import main
from app.ingest.rejects import read_rejects, rejects_path


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
    def stored():
        with Catalog.open(tmp_path / "c.db") as catalog:
            return {item.item_id: item for item in catalog.iter_items()}

    return stored


def histories(tmp_path):
    with Catalog.open(tmp_path / "c.db") as catalog:
        return list(catalog.iter_interactions())


ITEMS = ("items.csv", "item_id,title\nA1,One\nA2,Two\n")


def test_ids_that_differ_in_an_accent_stay_two(run, stored, tmp_path):
    items = ("items.csv", "item_id,title\nCafé,Noir\nCafè,Blanc\nx,Plain\n".encode("latin-1"))
    pairs = "item_id,user_id,timestamp\nCafé,René,1\nCafè,Renè,2\n".encode("latin-1")
    code, said = run("hllm", items=items)
    assert code == 0 and "byte 0xe9 is not UTF-8: give the file's --encoding" in said
    assert list(stored()) == ["x"]
    code, said = run("hllm", "--encoding", "latin-1", items=items, interactions=("p.csv", pairs))
    assert code == 0 and "read as latin-1" in said
    assert set(stored()) == {"x", "Café", "Cafè"}
    assert {user for user, _, _ in histories(tmp_path)} == {"René", "Renè"}


def test_utf16_and_json_in_other_encodings(run, stored):
    code, said = run("table", items=("u16.csv", "item_id,title\nA1,Größe\n".encode("utf-16")))
    assert code == 0 and "read as utf-16" in said and stored()["A1"].title == "Größe"
    line = json.dumps({"asin": "B1", "title": "Café"}, ensure_ascii=False)
    code, said = run("amazon2018", "--encoding", "cp1252", items=("m.json", line.encode("cp1252")))
    assert code == 0 and stored()["B1"].title == "Café"


def test_another_delimiter_is_named_and_can_be_given(run, stored):
    items = ("items.csv", "item_id;title\n0001;A, B & C\n")
    code, said = run("table", items=items)
    assert code == 2 and "semicolons in it: give --delimiter ';'" in said
    assert run("table", "--delimiter", ";", items=items)[0] == 0
    assert stored()["0001"].title == "A, B & C"


def test_zip_is_named(run):
    code, said = run("table", items=("items.csv", b"PK\x03\x04....\x00\x1b[2Jitems.csv"))
    assert code == 2 and "is a zip archive" in said and "\x1b" not in said


def test_a_pair_without_a_header_loses_nothing(run, tmp_path):
    code, said = run("hllm", items=ITEMS, interactions=("pair.csv", "A1,U1,100\nA2,U1,200\n"))
    assert code == 0 and "line 1 is no header" in said
    assert histories(tmp_path) == [("U1", "A1", 100), ("U1", "A2", 200)]
    code, said = run("hllm", interactions=("user_first.csv", "U1,A1,100\nU1,A2,200\n"))
    assert code == 2 and "none of its 2 interactions names an item" in said
    code, said = run("table", items=("i.csv", "1,One,1999\n2,Two,2000\n"))
    assert code == 2 and "looks like data, and the header is missing" in said


def test_unknown_names_are_taken_by_place_and_it_is_said(run, tmp_path):
    pair = ("pair.csv", "what,who,when\nA1,U1,100\n")
    code, said = run("hllm", items=ITEMS, interactions=pair)
    assert code == 0 and "line 1 is taken for the header" in said
    assert histories(tmp_path) == [("U1", "A1", 100)]


def test_kaggle_header(run, tmp_path):
    ratings = ("ratings_Beauty.csv", "UserId,ProductId,Rating,Timestamp\nU1,A1,5.0,1369699200\n")
    code, _ = run("amazon2018", items=("m.json", '{"asin":"A1"}'), interactions=ratings)
    assert code == 0 and histories(tmp_path) == [("U1", "A1", 1369699200)]
    other = ("ratings.csv", "who,what,stars,when\nU1,A1,5.0,1369699200\n")
    code, said = run("amazon2018", interactions=other)
    assert code == 2 and "table --map-interactions item_id=COLUMN" in said
    code, said = run("table", "--map-interactions", "who=U", interactions=other)
    assert code == 2 and "--map-interactions 'who=U' is not understood" in said


def test_missing_values(run, stored, tmp_path):
    items = (
        "item_id,title,creator,description,year,price,genres,country\n"
        "NA,None,nan,NULL,\\N,nan,None,\\N\nnan,\\N,Ann,N/A day,NaT,,x|\\N,NA\n\\N,x,,,,,,\n"
    )
    pairs = "item_id,user_id,timestamp\nNA,null,1\nNA,\\N,2\nNA,u,\\N\nNA,u,NaN\nnan,u,5\n"
    assert run("table", items=("i.csv", items), interactions=("p.csv", pairs))[0] == 0
    found = stored()
    assert list(found) == ["NA", "nan"]
    first, second = found["NA"], found["nan"]
    assert (first.title, first.creator, first.description) == ("None", "", "")
    assert (first.year, first.price, first.categories, first.extra) == (None, None, (), {})
    assert (second.title, second.creator, second.description) == ("", "Ann", "N/A day")
    assert second.extra == {"country": "NA"}
    assert histories(tmp_path) == [("null", "NA", 1), ("u", "nan", 5)]
    reasons = [entry["line"] for entry in read_rejects(rejects_path(tmp_path / "c.db"))]
    assert reasons == [4, 3, 4, 5]


def test_columns_may_be_called_as_they_like(run, stored):
    columns = "item_id,name,title,cut,original,extra,description"
    rows = f"G1,Ring,<i>T</i>,Ideal,yes,e,{'very ' * 5000}\nG2,<b>Pin</b>,,Good,no,e,<b>bold</b>\n"
    code, _ = run("table", "--map", "title=name", items=("gems.csv", f"{columns}\n{rows}"))
    assert code == 0
    one, two = stored()["G1"], stored()["G2"]
    assert (one.extra["cut"], one.extra["original"], one.extra["title"]) == ("Ideal", "yes", "T")
    assert one.extra[""]["cut"] == {"description": 24_999}
    assert one.extra[""]["original"]["title"] == "<i>T</i>"
    assert (two.extra["cut"], two.extra["original"]) == ("Good", "no")
    assert two.extra[""]["original"] == {"title": "<b>Pin</b>", "description": "<b>bold</b>"}


def test_fields_of_amazon_that_have_a_name_of_ours(run, stored):
    line = {"asin": "A1", "feature": ["one"], "features": "two", "original": {"a": 1}, "cut": [1]}
    assert run("amazon2018", items=("m.json", json.dumps(line)))[0] == 0
    assert stored()["A1"].extra == {
        "features": "one", "features (2)": "two", "original": {"a": 1}, "cut": [1],
    }  # fmt: skip


def test_lists_of_numpy_in_a_table(run, stored):
    meta = (
        "parent_asin,title,description,features,categories\n"
        "P1,Whistle,\"['First part.' 'Second part.']\",\"['Loud'\n 'In D']\","
        "['Wind' \"Brass & Reed\"]\nP2,Pipe,[],['Soft'],\"['Wind, Brass & Reed']\"\n"
    )
    assert (
        run("table", items=("meta.csv", meta.replace('"Brass & Reed"', "'Brass & Reed'")))[0] == 0
    )
    one, two = stored()["P1"], stored()["P2"]
    assert one.categories == ("Wind", "Brass & Reed")
    assert (one.description, one.extra["features"]) == ("First part.\nSecond part.", "Loud\nIn D")
    assert (two.categories, two.extra["features"]) == (("Wind, Brass & Reed",), "Soft")


def test_details_as_text(run, stored):
    lines = [
        {"parent_asin": "P1", "details": '{"Publisher": "Old Press (March 3, 1999)"}',
         "images": '[{"variant": "MAIN", "large": "https://pics.invalid/a.jpg"}]'},
        {"parent_asin": "P2", "details": "{no json", "images": None, "price": "from 12,99"},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, lines))
    assert run("amazon2023", items=("meta.jsonl", text))[0] == 0
    one, two = stored()["P1"], stored()["P2"]
    assert (one.year, one.image) == (1999, "https://pics.invalid/a.jpg")
    assert one.extra["details"] == {"Publisher": "Old Press (March 3, 1999)"}
    assert (two.year, two.price, two.extra["details"]) == (None, 12.99, "{no json")


def test_scripts_in_place_of_titles(run, stored):
    titles = [
        "JavaScript Date: getTime() and friends; a pocket guide",
        "var aPageStart = (new Date()).getTime();\nvar ue_t0 = 1;",
        "function spaces; an introduction",
    ]
    lines = [json.dumps({"asin": f"A{n}", "title": title}) for n, title in enumerate(titles)]
    assert run("amazon2018", items=("m.json", "\n".join(lines)))[0] == 0
    assert [item.title for item in stored().values()] == [titles[0], "", titles[2]]
    assert stored()["A1"].extra[""]["original"]["title"] == titles[1]


HOSTILE = [
    '{"asin":"A","title":' + "[" * 500 + "]" * 500 + "}",
    '{"asin":"A","o":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}",
    '{"asin":"A","price":' + "9" * 400 + ',"date":' + "9" * 400 + ',"x":1e999,"y":NaN}',
    '{"asin":"A","price":' + "9" * 5000 + "}",
    json.dumps({"asin": "A", "title": "x" * 80 + "{" + ":" * 4001}),
    json.dumps({"asin": "A", "description": ("x" * 80 + "{" + ":" * 4001) * 40}),
    json.dumps({"asin": "A", **{f"c{n}": "x" for n in range(100_000)}}),
    '{"asin":"A\\ud83d","title":"x"}',
    '{"asin":"A","\\ud83d":"\\ud83d"}',
    '{"asin":"A\\u0000"}',
    json.dumps({"asin": "A", "category": "[" * 9000 + "]" * 9000}),
]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("is_first", [True, False])
def test_one_hostile_record_stops_nothing(run, stored, line, is_first):
    good = ['{"asin":"G1","title":"Good"}', '{"asin":"G2","title":"Good"}']
    lines = [line, *good] if is_first else [good[0], line, good[1]]
    code, said = run("amazon2018", items=("m.json", "\n".join(lines)))
    assert code == 0 and {"G1", "G2"} <= set(stored()) <= {"G1", "G2", "A"}, said


def test_bytes_in_parquet_are_text(run, stored, tmp_path):
    path = tmp_path / "items.parquet"
    table = pyarrow.table(
        {"item_id": [b"101", b"102", b"103"], "title": [b"One", "Zwölf".encode(), b"\xff"],
         "tags": [[b"a", b"b"], None, None], "price": [1.5, None, 2.0]}
    )  # fmt: skip
    pyarrow.parquet.write_table(table, path)
    code, said = run("table", items=(path.name, path.read_bytes()))
    assert code == 0 and "title holds bytes that are not UTF-8" in said
    found = stored()
    assert [item.title for item in found.values()] == ["One", "Zwölf"]
    assert list(found) == ["101", "102"] and found["101"].tags == ("a", "b")


def test_a_small_parquet_cannot_ask_for_much_memory(run, stored, tmp_path):
    path = tmp_path / "bomb.parquet"
    count = 5_000
    large = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([1] + [0] * (count - 1), pyarrow.int32()), pyarrow.array(["x" * 2**23, "t"])
    )
    table = pyarrow.table({"item_id": [f"i{n}" for n in range(count)], "title": large})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 0 and "title is longer than 4194304 bytes" in said
    assert list(stored()) == ["i0"]


def test_a_parquet_that_claims_gigabytes_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr("app.ingest.parquet.MAX_UNPACKED_BYTES", 2**20)
    path = tmp_path / "bomb.parquet"
    table = pyarrow.table({"item_id": ["a"], "title": ["x" * 2**22]})
    pyarrow.parquet.write_table(table, path, compression="zstd")
    code, said = run("table", items=("b.parquet", path.read_bytes()))
    assert code == 2 and "column 'title' unpacks from" in said


def test_names_of_columns_cannot_drive_the_terminal(run):
    code, said = run("table", items=("i.csv", "\x1b[2Jname,\x07b\n1,2\n"))
    assert code == 2 and "\x1b" not in said and "\x07" not in said
