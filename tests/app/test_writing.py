"""What both models make of a written item, and that nothing of it stays."""

import json

import pytest

from app import payloads
from app.cards import make_card
from app.payloads import answer_payload, write_payload
from app.scoreboard import Scoreboard
from app.session import clean_click, clean_history
from app.ui import beside_clicks
from app.writing import Writer
from app.written import MAX_WRITTEN, written_item
from hllm.errors import CheckpointError
from hllm.serving.request_batching import BusyError

SECRET = "A funny heist on Mars"
MARS = {"title": SECRET, "creator": "Nobody", "category": "Mystery", "description": "Four thieves."}
SESSION = "0123456789abcdef"


def ask(service, history):
    request = {"version": 1, "history": history, "session": SESSION, "filter": {}}
    return answer_payload(service, request)


def test_a_written_item_is_encoded_ranked_and_compared(service):
    found = Writer(service).write(written_item(MARS), ["book-001", "book-002"], is_wish=False)
    assert found.encode_ms == {"hllm": 12.5, "baseline": 12.5} and not found.alone
    assert found.detail.text.text == f"title: {SECRET}"
    assert found.unread == ["creator", "categories"]
    assert [c.rank.num_ranked for c in found.detail.columns] == [39, 39]
    near = [[n.item_id for n in column.similar] for column in found.detail.columns]
    assert near[0] != near[1] and {*near[0], *near[1]} == found.detail.cards.keys()
    in_it = Writer(service).write(written_item(MARS), ["book-001", MARS], is_wish=False)
    assert [column.rank for column in in_it.detail.columns] == [None, None]
    assert in_it.detail.history == ("book-001", found.detail.item.item_id)


def test_a_wish_is_a_history_of_one_item(service):
    item = written_item({"title": "a funny heist"})
    found = Writer(service).write(item, ["book-001"], is_wish=True)
    assert [column.rank for column in found.detail.columns] == [None, None]
    for column in service.columns:
        expected = column.ask([{"title": "a funny heist"}], 6).result.items
        assert found.alone[column.key] == expected
        assert {i.item_id for i in expected} <= found.detail.cards.keys()


def test_a_history_with_it_is_answered_and_only_the_page_has_its_texts(service):
    answer = ask(service, ["book-001", MARS, "book-002"])
    item_id = written_item(MARS).item_id
    assert [i["id"] for i in answer["history"]] == ["book-001", item_id, "book-002"]
    assert answer["history"][1] == {
        "id": item_id, "title": SECRET, "creator": "Nobody", "cover": ""
    }  # fmt: skip
    assert answer["notices"] == [] and all(answer["columns"].values())
    without = ask(service, ["book-001", "book-002"])
    assert answer["columns"] != without["columns"]


def test_every_question_about_such_a_history_is_answered(service):
    history = ["book-001", MARS, "book-003"]
    ids = ["book-001", written_item(MARS).item_id, "book-003"]
    asked = {f.__name__: f for f in beside_clicks(service)}
    assert "#" in asked["detail"]({"item": "book-007", "history": history})["html"]
    why = asked["why"]({"item": "book-007", "history": history})
    assert list(why["changes"]) == ids and SECRET in why["html"]
    rows = {"hllm": ["book-007", "book-009"], "baseline": ["book-011"]}
    pushed = asked["pushes"]({"history": history, "rows": rows})["pushes"]
    assert all(set(found) <= set(ids) for found in pushed.values()) and pushed
    assert asked["whole"]({"history": history})["num_read"] == 3
    kept = asked["keep"]({"history": history, "filter": {}})
    assert SECRET in kept["json"] and SECRET in kept["csv"]
    assert asked["judge"]({"item": "book-007", "history": history, "session": SESSION})["ranks"]


def test_no_text_and_no_name_of_it_is_ever_recorded(service):
    item_id = written_item(MARS).item_id
    ask(service, ["book-001", MARS])
    ask(service, [MARS])
    Scoreboard(service).judge("book-007", ["book-001", MARS], SESSION)
    write_payload(Writer(service), {"item": MARS, "history": [MARS], "wish": False})
    record = {"item_id": item_id, "source": "browse", "rank": None, "session": SESSION}
    service.record_click(clean_click(record))
    service.events.flush()
    files = [*service.catalog.path.parent.iterdir()]
    kept = b"".join(path.read_bytes() for path in files if path.is_file())
    assert b"book-007" in kept
    for words in (SECRET, item_id, "Four thieves", "Nobody"):
        assert words.encode() not in kept


def test_only_a_few_count_and_what_is_no_item_leaves(service):
    written = [{"title": f"Own {n}"} for n in range(MAX_WRITTEN + 2)]
    answer = ask(service, ["book-001", *written, {"title": ""}, {"title": "x" * 201}])
    titles = [item["title"] for item in answer["history"]]
    assert titles == ["Book number 1", *(f"Own {n}" for n in range(2, MAX_WRITTEN + 2))]
    assert answer["notices"] == [
        "2 items are not in this catalogue and left the history.",
        "Only 5 items of your own count at a time; older ones left.",
    ]
    again = clean_history([MARS, "book-001", MARS], lambda ids: ids)
    assert again.item_ids == ("book-001", written_item(MARS).item_id) and len(again.items) == 2
    name_alone = clean_history([written_item(MARS).item_id], service.catalog.get)
    assert name_alone.item_ids == ()  # nobody gets another visitor's item by its name


def test_the_page_gets_what_it_keeps(service):
    found = write_payload(
        Writer(service), {"item": {**MARS, "title": f"<b>{SECRET}</b> "}, "history": ["book-001"]}
    )
    assert found["state"] == "ready" and found["written"] == MARS
    assert found["item"]["id"] == written_item(MARS).item_id
    assert found["item"]["cover"].startswith("data:image/svg+xml,%3Csvg")
    assert found["item"]["title"] == make_card(written_item(MARS)).title
    assert "12 ms" in found["html"] and "learned nothing" in found["html"]
    json.dumps(found)


@pytest.mark.parametrize("raw", [None, 3, {"item": 3}, {"item": {"title": " "}}, {"item": [MARS]}])
def test_any_request_gets_an_answer(service, raw):
    found = write_payload(Writer(service), raw)
    assert found["state"] in ("ready", "refused") and found["item"] is None
    assert found["state"] == "ready" or found["message"] == "It needs a title."


def test_without_an_encoder_the_page_hears_why(service, tmp_path, new_service, new_items):
    assert write_payload(Writer(service), {"item": None})["state"] == "ready"
    assert all(c.question(lambda r: r.is_encoder_loaded)[1] for c in service.columns)

    def missing(*_):
        raise CheckpointError("The folder has no Item LLM: restore it.")

    for name in ("load_item_encoder", "new_item"):
        service.columns[0].question(lambda r, name=name: setattr(r, name, missing))
    prepared = write_payload(Writer(service), {"item": None})
    assert (prepared["state"], prepared["message"]) == (
        "failed",
        "The folder has no Item LLM: restore it.",
    )
    written = write_payload(Writer(service), {"item": MARS, "history": []})
    assert (written["state"], written["html"]) == ("later", "")
    loading = new_service(tmp_path / "c.db", new_items(3), loaded=False)
    warming = write_payload(Writer(loading), {"item": None})
    assert warming["state"] == "later" and "warming up" in warming["message"]


def test_too_many_at_once_are_told_to_come_again(service, monkeypatch):
    monkeypatch.setattr("app.places.MAX_WAIT_S", 0.01)
    writer = Writer(service)
    with writer._places, writer._places:
        found = payloads.write_payload(writer, {"item": MARS, "history": []})
    assert found["state"] == "later" and "try again" in found["message"]

    def busy(_):
        raise BusyError("Too many texts are being encoded: try again in a minute.")

    service.columns[0].question(lambda r: setattr(r, "new_item", busy))
    found = payloads.write_payload(writer, {"item": MARS, "history": []})
    assert found["state"] == "later" and "Too many texts" in found["message"]
