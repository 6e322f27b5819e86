"""Each format: small files as the data sets have them become the right items and interactions."""

import csv
import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from app.catalog import Catalog
from app.ingest.__main__ import main


def write(path, lines):
    """Write lines to a file, packed if its name says so."""
    data = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_csv(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def ingest(tmp_path, *arguments):
    """Run an import; returns the catalogue."""
    assert main([str(argument) for argument in arguments]) == 0
    return Catalog.open(tmp_path / "c.db")


@pytest.fixture(params=["", ".gz"])
def ending(request):
    return request.param


def test_amazon2014(tmp_path, ending):
    items = write(
        tmp_path / f"meta_Books.json{ending}",
        [
            repr(
                {
                    "asin": "0001",
                    "title": "Dune &amp; more",
                    "description": '<p>A "desert" planet\'s tale</p>',
                    "price": 8.99,
                    "imUrl": "http://x/1.jpg",
                    "brand": "Ace",
                    "categories": [["Books", "Fiction"], ["Books", "Science Fiction"]],
                    "salesRank": {"Books": 12},
                    "related": {"also_bought": ["0002"]},
                }
            ),
            repr({"asin": "0002", "title": "__import__('os').system('false')"}),
        ],
    )
    ratings = write(
        tmp_path / f"ratings_Books.csv{ending}",
        ["U1,0001,5.0,1370000000", "U1,0002,1.0,1370000001"],
    )
    catalog = ingest(
        tmp_path, "amazon2014", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", ratings,
    )  # fmt: skip
    item = catalog.get(["0001"])["0001"]
    assert (item.title, item.creator, item.price, item.image) == (
        "Dune & more", "Ace", 8.99, "http://x/1.jpg",
    )  # fmt: skip
    assert item.description == 'A "desert" planet\'s tale'
    assert item.categories == ("Books", "Fiction", "Science Fiction")
    assert item.extra[""]["original"]["title"] == "Dune &amp; more"
    assert item.extra["salesRank"] == {"Books": 12} and "related" not in item.extra
    assert list(catalog.iter_interactions()) == [
        ("U1", "0001", 1370000000),
        ("U1", "0002", 1370000001),
    ]


def test_amazon2018(tmp_path, ending):
    items = write(
        tmp_path / f"meta.json{ending}",
        [
            json.dumps(
                {
                    "asin": "B1",
                    "title": "Zelda",
                    "description": ["First &amp; best.", "", "<b>Second</b>", "First &amp; best."],
                    "feature": ["Feature one", "Feature <i>two</i>"],
                    "brand": "by\n    \n    Nintendo",
                    "category": ["Video Games", "Arts, Crafts & Sewing", "</span></span>"],
                    "price": "$1,049.99 - $2",
                    "date": "November 5, 2004",
                    "imageURL": ["http://x/s.jpg"],
                    "imageURLHighRes": ["http://x/b.jpg"],
                    "rank": "12 in Games",
                    "also_buy": ["B2"],
                }
            ),
            json.dumps({"asin": "B2", "title": "var aPageStart = (new Date()).getTime();"}),
            json.dumps({"asin": "B3", "price": ".a-box-inner{background-color:#fff}"}),
        ],
    )
    reviews = write(
        tmp_path / f"reviews.json{ending}",
        [
            json.dumps(
                {"reviewerID": "U", "asin": asin, "overall": 5.0, "unixReviewTime": 1500 + n}
            )
            for n, asin in enumerate(["B1", "B3"])
        ],
    )
    catalog = ingest(
        tmp_path, "amazon2018", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", reviews,
    )  # fmt: skip
    item = catalog.get(["B1"])["B1"]
    assert item.description == "First & best.\nSecond"
    assert item.creator == "Nintendo"
    assert item.categories == ("Video Games", "Arts, Crafts & Sewing")
    assert (item.price, item.year, item.image) == (1049.99, 2004, "http://x/b.jpg")
    assert item.extra["features"] == "Feature one\nFeature two"
    assert item.extra["rank"] == "12 in Games"
    others = catalog.get(["B2", "B3"])
    assert others["B2"].title == "" and others["B3"].price is None
    assert [row[1:] for row in catalog.iter_interactions()] == [("B1", 1500), ("B3", 1501)]


def test_amazon2018_ratings_name_the_item_first(tmp_path):
    items = write(tmp_path / "meta.json", [json.dumps({"asin": "B1", "title": "T"})])
    ratings = write(tmp_path / "ratings.csv", ["B1,U1,5.0,1500"])
    catalog = ingest(
        tmp_path, "amazon2018", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", ratings,
    )  # fmt: skip
    assert list(catalog.iter_interactions()) == [("U1", "B1", 1500)]


@pytest.mark.parametrize(
    "images",
    [
        [
            {"thumb": "http://x/other.jpg", "variant": "PT01"},
            {"hi_res": None, "large": "http://x/l.jpg", "variant": "MAIN"},
        ],
        {"hi_res": [None, None], "large": ["http://x/o.jpg", "http://x/l.jpg"],
         "variant": ["PT01", "MAIN"]},
    ],
)  # fmt: skip
def test_amazon2023(tmp_path, ending, images):
    items = write(
        tmp_path / f"meta.jsonl{ending}",
        [
            json.dumps(
                {
                    "main_category": "Books",
                    "title": "Dune",
                    "average_rating": 4.5,
                    "rating_number": 999,
                    "features": ["f1"],
                    "description": [],
                    "price": "from 7.99",
                    "images": images,
                    "store": None,
                    "author": {"name": "Frank Herbert"},
                    "categories": [],
                    "details": {"Publisher": "Ace (August 1, 1990)", "Pages": "412"},
                    "parent_asin": "P1",
                    "bought_together": None,
                }
            )
        ],
    )
    arguments = ["amazon2023", "--catalog", tmp_path / "c.db", "--items", items]
    item = ingest(tmp_path, *arguments).get(["P1"])["P1"]
    assert (item.creator, item.year, item.price) == ("Frank Herbert", 1990, 7.99)
    assert (item.image, item.categories) == ("http://x/l.jpg", ("Books",))
    assert item.popularity == 999 and item.extra["details"]["Pages"] == "412"
    reviews = write(
        tmp_path / f"reviews.jsonl{ending}",
        [
            json.dumps(
                {"user_id": "U", "parent_asin": "P1", "asin": "X", "timestamp": 1588687728923}
            )
        ],
    )
    catalog = ingest(tmp_path, *arguments[:3], "--interactions", reviews)
    assert list(catalog.iter_interactions()) == [("U", "P1", 1588687728923)]
    assert catalog.popular(1)[0].popularity == 1


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


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("user_id,item_id,timestamp", "u,1,5"),
        ("timestamp,item_id,user_id", "5,1,u"),
        ("iid,who,when", "1,u,5"),
    ],
)
def test_hllm_interactions_by_name_or_by_place(tmp_path, header, row):
    items = write(tmp_path / "items.csv", ["item_id,title", "1,One"])
    interactions = write(tmp_path / "i.csv", [header, row])
    catalog = ingest(
        tmp_path, "hllm", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", interactions,
    )  # fmt: skip
    assert list(catalog.iter_interactions()) == [("u", "1", 5)]


def test_pixelrec(tmp_path):
    covers = tmp_path / "covers"
    covers.mkdir()
    (covers / "i1.jpg").write_bytes(b"jpg")
    items = write(
        tmp_path / "info.csv",
        ["item_id,view_number,comment_number,title,tag,description",
         "i1,120,3,猫の動画,动物圈,可爱", "../i2,7,0,Dog,,"],
    )  # fmt: skip
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "i1,u,1600000000"])
    catalog = ingest(
        tmp_path, "pixelrec", "--catalog", tmp_path / "c.db", "--items", items,
        "--covers", covers,
    )  # fmt: skip
    found = catalog.get(["i1", "../i2"])
    assert found["i1"].image == str(covers / "i1.jpg") and found["../i2"].image == ""
    assert found["i1"].popularity == 120 and found["i1"].tags == ("动物圈",)
    assert found["i1"].extra == {"comment_number": "3", "tag": "动物圈"}
    catalog = ingest(
        tmp_path, "pixelrec", "--catalog", tmp_path / "c.db", "--interactions", interactions
    )
    assert catalog.popular(1)[0].popularity == 1


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_table_with_mapping(tmp_path, kind):
    rows = {
        "movieId": [10, 11],
        "name": ["Alien", "Heat"],
        "genres": ["Horror|Sci-Fi", "Crime, Drama"],
        "made": [1979, None],
        "score": [8.5, 8.3],
    }
    path = tmp_path / f"movies.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table(rows), path)
    else:
        sep = "," if kind == "csv" else "\t"
        with path.open("w", newline="") as file:
            writer = csv.writer(file, delimiter=sep)
            writer.writerow(rows)
            writer.writerows(zip(*rows.values(), strict=True))
    watched = write(tmp_path / "watched.csv", ["who,movieId,when", "u,10,2024-01-02T00:00:00"])
    catalog = ingest(
        tmp_path, "table", "--catalog", tmp_path / "c.db", "--items", path,
        "--map", "item_id=movieId,title=name,year=made", "--interactions", watched,
        "--map-interactions", "user_id=who,timestamp=when",
    )  # fmt: skip
    found = catalog.get(["10", "11"])
    assert found["10"].categories == ("Horror", "Sci-Fi") and found["10"].year == 1979
    assert found["11"].categories == ("Crime", "Drama") and found["11"].year is None
    assert float(found["10"].extra["score"]) == 8.5
    assert list(catalog.iter_interactions()) == [("u", "10", 1704153600)]


@pytest.mark.parametrize("packed", [False, True])
def test_export_and_import_give_the_same_texts(tmp_path, packed):
    items = write_csv(
        tmp_path / "items.csv",
        [
            ["item_id", "title", "description", "tags", "genre", "year", "isbn"],
            ["01", "Ünï & <T>", 'line\nbreak, "quotes"', "a; b, c", "X, Y", "1999", "007"],
            ["02", "", "", "", "", "", ""],
        ],
    )
    interactions = write(tmp_path / "i.csv", ["item_id,user_id,timestamp", "02,b,3", "01,a,2"])
    first = ingest(
        tmp_path, "hllm", "--catalog", tmp_path / "c.db", "--items", items,
        "--interactions", interactions,
    )  # fmt: skip
    out, ending = tmp_path / "out", ".csv.gz" if packed else ".csv"
    flags = ["--gzip"] if packed else []
    assert main(["export", "--catalog", str(first.path), "--output", str(out), *flags]) == 0
    again = tmp_path / "again.db"
    assert main(
        ["hllm", "--catalog", str(again), "--items", str(out / f"items{ending}"),
         "--interactions", str(out / f"interactions{ending}")]
    ) == 0  # fmt: skip
    second = Catalog.open(again)
    assert list(second.iter_texts()) == list(first.iter_texts())
    assert second.data_version == first.data_version
    assert list(second.iter_interactions()) == list(first.iter_interactions())
    assert sorted(path.name for path in out.iterdir()) == [
        f"interactions{ending}",
        f"items{ending}",
    ]
