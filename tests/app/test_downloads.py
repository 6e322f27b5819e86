"""What can be taken along of a history: JSON, and CSV that a spreadsheet does not run."""

import csv
import io
import json

import pytest

from app.api_payloads import recommend_payload
from app.catalog import NO_FILTER, ItemFilter
from app.downloads import BYTE_ORDER_MARK, COLUMNS, Downloads
from app.payloads import keep_payload

HISTORY = ["book-001", "gone", "book-002"]


def rows_of(text):
    assert text.startswith(BYTE_ORDER_MARK)
    header, *rows = csv.reader(io.StringIO(text.removeprefix(BYTE_ORDER_MARK), newline=""))
    assert tuple(header) == COLUMNS
    return rows


@pytest.mark.parametrize("item_filter", [NO_FILTER, ItemFilter(category="Mystery", max_price=50.0)])
def test_files_hold_the_history_and_what_the_api_recommends_for_it(service, item_filter):
    found = Downloads(service).make(HISTORY, item_filter)
    bounds = (item_filter.category, item_filter.min_price, item_filter.max_price)
    api = recommend_payload(service, HISTORY, 10, *bounds)
    values = json.loads(found.as_json)
    assert [item["item_id"] for item in values["history"]] == ["book-001", "book-002"]
    assert values["history"][0]["title"] == "Book number 1"
    assert values["filter"]["category"] == item_filter.category
    assert values["catalog"] == "Test books"
    assert [model["items"] for model in values["models"]] == [m["items"] for m in api["models"]]
    rows = rows_of(found.as_csv)
    assert [row[:3] for row in rows[:2]] == [
        ["history", "1", "book-001"],
        ["history", "2", "book-002"],
    ]
    listed = [
        [model["name"], str(item["rank"]), item["item_id"], str(item["score"]), model["model"]]
        for model in api["models"]
        for item in model["items"]
    ]
    assert [[*row[:3], *row[5:]] for row in rows[2:]] == listed


def test_titles_of_strangers_are_no_formulas(new_service, new_items, tmp_path):
    titles = ['=HYPERLINK("http://x","y")', "@SUM(1)", 'a "b", c', "+1 of 2", "-7"]
    items = new_items(20)
    for number, title in enumerate(titles):
        object.__setattr__(items[number], "title", title)
    found = Downloads(new_service(tmp_path / "c.db", items)).make(
        [item.item_id for item in items[:5]], NO_FILTER
    )
    cells = [row[3] for row in rows_of(found.as_csv)[:5]]
    assert cells == [f"'{titles[0]}", "'@SUM(1)", titles[2], "'+1 of 2", "-7"]
    assert json.loads(found.as_json)["history"][0]["title"] == titles[0]


def test_a_download_is_not_recorded_as_shown(service, events_of):
    service.answer(HISTORY, "0123456789abcdef")
    before = events_of(service)
    Downloads(service).make(HISTORY, NO_FILTER)
    Downloads(service).make([], NO_FILTER)
    assert before and events_of(service) == before


@pytest.mark.parametrize(
    "raw", [None, 7, [], {}, {"history": "x"}, {"history": ["gone", "__proto__"], "filter": 7}]
)
def test_without_a_history_there_is_a_sentence_and_nothing_else(service, raw):
    found = keep_payload(Downloads(service), service, raw)
    assert found.pop("message") == "There is no history yet that could be taken along."
    assert set(found.values()) == {""}
