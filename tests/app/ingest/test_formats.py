"""Each format: small files as the data sets have them become the right items and interactions."""

import json

import pytest

from tests.app.ingest.imports import histories, ingest, write, write_csv


def test_amazon2018_ratings_name_the_item_first(tmp_path):
    items = write(tmp_path / "meta.json", [json.dumps({"asin": "B1", "title": "T"})])
    ratings = write(tmp_path / "ratings.csv", ["B1,U1,5.0,1500"])
    catalog = ingest(
        tmp_path, "amazon2018", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", ratings,
    )  # fmt: skip
    assert list(catalog.iter_interactions()) == [("U1", "B1", 1500)]


def test_hllm_pair_with_dirty_descriptions(tmp_path):
    items = write_csv(
        tmp_path / "items.csv",
        [
            ["item_id", "title", "description", "brand", "categories", "tag", "pages"],
            ["007", "A &amp; B", "['One<br>two', '<!-- x -->', \"it's\"]", "HP", "", "best", "12"],
            ["8", 'Quoted "title", with comma', "several\nlines", "", "['X, Y', 'Z']", "", ""],
        ],
    )
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "007,u,1", "8,u,0"])
    catalog = ingest(
        tmp_path, "hllm", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", interactions,
    )  # fmt: skip
    assert dict(catalog.iter_texts()) == {
        "007": {"title": "A & B", "creator": "HP", "tags": "best", "description": "One\ntwo\nit's",
                "tag": "best", "pages": "12"},
        "8": {"title": 'Quoted "title", with comma', "categories": "X, Y; Z",
              "description": "several\nlines"},
    }  # fmt: skip
    assert list(catalog.iter_interactions()) == [("u", "007", 1), ("u", "8", 0)]


def test_utf16_and_json_in_other_encodings(run, stored):
    code, said = run("table", items=("u16.csv", "item_id,title\nA1,Größe\n".encode("utf-16")))
    assert code == 0 and "read as utf-16" in said and stored()["A1"].title == "Größe"
    line = json.dumps({"asin": "B1", "title": "Café"}, ensure_ascii=False)
    code, said = run("amazon2018", "--encoding", "cp1252", items=("m.json", line.encode("cp1252")))
    assert code == 0 and stored()["B1"].title == "Café"


def test_kaggle_header(run, tmp_path):
    ratings = ("ratings_Beauty.csv", "UserId,ProductId,Rating,Timestamp\nU1,A1,5.0,1369699200\n")
    code, _ = run("amazon2018", items=("m.json", '{"asin":"A1"}'), interactions=ratings)
    assert code == 0 and histories(tmp_path) == [("U1", "A1", 1369699200)]
    other = ("ratings.csv", "who,what,stars,when\nU1,A1,5.0,1369699200\n")
    code, said = run("amazon2018", interactions=other)
    assert code == 2 and "table --map-interactions item_id=COLUMN" in said
    code, said = run("table", "--map-interactions", "who=U", interactions=other)
    assert code == 2 and "--map-interactions 'who=U' is not understood" in said


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


@pytest.mark.parametrize("line", HOSTILE[:2])
def test_a_record_that_nests_too_deeply_becomes_a_reject_that_says_so(run, line):
    code, said = run("amazon2018", items=("m.json", line + '\n{"asin":"G1"}'))
    assert code == 0 and "nested deeper than 100 levels" in said


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("is_first", [True, False])
def test_one_hostile_record_stops_nothing(run, stored, line, is_first):
    good = ['{"asin":"G1","title":"Good"}', '{"asin":"G2","title":"Good"}']
    lines = [line, *good] if is_first else [good[0], line, good[1]]
    code, said = run("amazon2018", items=("m.json", "\n".join(lines)))
    assert code == 0 and {"G1", "G2"} <= set(stored()) <= {"G1", "G2", "A"}, said
