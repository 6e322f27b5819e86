from app.contract_map import MapItemQuery, MapMarksPayload, MapPayload
from app.map_payloads import map_item_payload, map_marks_payload, map_payload


def test_what_the_server_says_has_the_keys_of_the_contract(service):
    opened = map_payload(service)
    assert opened.keys() == MapPayload.__annotations__.keys()
    marks = map_marks_payload(service, {"history": ["book-001"], "rows": {}})
    assert marks.keys() == MapMarksPayload.__annotations__.keys()
    query: MapItemQuery = {"version": opened["version"], "point": 0}
    assert map_item_payload(service, query)["id"] == "book-000"
