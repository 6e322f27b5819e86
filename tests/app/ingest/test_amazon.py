"""Records of the three Amazon Reviews data sets, as they come."""

import json

import pytest

from tests.app.ingest.imports import ingest, write


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


def test_fields_of_amazon_that_have_a_name_of_ours(run, stored):
    line = {"asin": "A1", "feature": ["one"], "features": "two", "original": {"a": 1}, "cut": [1]}
    assert run("amazon2018", items=("m.json", json.dumps(line)))[0] == 0
    assert stored()["A1"].extra == {
        "features": "one", "features (2)": "two", "original": {"a": 1}, "cut": [1],
    }  # fmt: skip


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
