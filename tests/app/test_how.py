"""The band's numbers are those of the answer, and there are none without one."""

import time

from app.columns import ColumnAnswer
from app.how import how_payload


def test_numbers_are_those_of_the_answer(service):
    columns = [c.ask(["book-001", "book-002", "book-003"], 100) for c in service.columns]
    started = time.perf_counter() - 2.0
    how = how_payload(columns, started)
    hllm, other = (column.result for column in columns)
    assert (how["num_read"], how["num_known"]) == (hllm.num_read, hllm.num_known) == (1, 2)
    assert (how["encode_ms"], how["search_ms"]) == (hllm.encode_ms, hllm.search_ms)
    assert how["baseline_ms"] == other.encode_ms + other.search_ms
    assert how["num_candidates"] == how["num_items"] == 40 and how["width"] == 8
    assert 2000 <= how["server_ms"] < 60_000
    assert [stage["facts"] for stage in how["stages"]] == [
        "22.7M parameters \u00b7 fp32 \u00b7 cpu",
        "1.1B parameters \u00b7 int4 \u00b7 cpu \u00b7 620.0 MB",
        "float32 \u00b7 cpu \u00b7 0.0 MB",
    ]


def test_without_an_answer_of_hllm_there_is_nothing_to_tell(service):
    hllm, baseline = (column.ask(["book-001"], 10) for column in service.columns)
    assert how_payload([], 0.0) is None
    assert how_payload([ColumnAnswer(hllm.info, None), baseline], 0.0) is None
    assert how_payload([baseline, baseline], 0.0) is None  # it is no HLLM
    swapped = how_payload([baseline, hllm], 0.0)
    assert swapped["stages"] and swapped["beside"] == "Baseline (fake Baseline)"
    alone = how_payload([hllm, ColumnAnswer(baseline.info, None)], 0.0)
    assert alone["baseline_ms"] is None
