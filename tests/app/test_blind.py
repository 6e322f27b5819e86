"""A pick counts for the model that drafted it, and where it cannot, that is said."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from app.blind import GONE, BlindTest, Vote
from app.catalog import NO_FILTER, ItemFilter
from app.catalog.events import EventFile, events_path
from app.columns import LIST_LENGTH
from app.event_log import EventLog
from hllm.errors import CheckpointError
from hllm.serving.request_batching import BusyError

SEED, SESSION = "5eed" * 8, "0123456789abcdef"
HISTORY = ["book-003", "book-001"]


def vote(item, position, **changes):
    return Vote(
        **({"seed": SEED, "item_id": item, "position": position, "withdrawn": False,
            "session_id": SESSION} | changes)
    )  # fmt: skip


def kept(service):
    """Picks in the file: session, seed, list, item, position, team."""
    service.events.flush()
    with closing(sqlite3.connect(events_path(service.catalog.path))) as connection:
        return connection.execute(
            "SELECT session, seed, list, item_id, position, team FROM blind_picks ORDER BY id"
        ).fetchall()


@pytest.mark.parametrize("item_filter", [NO_FILTER, ItemFilter(category="Mystery", max_price=30.0)])
def test_the_list_is_drafted_from_both_columns_and_every_place_is_credited(service, item_filter):
    answer = service.answer(HISTORY, SESSION, item_filter=item_filter, blind_seed=SEED)
    rankings = {c.info.key: [item.item_id for item in c.result.items] for c in answer.columns}
    drafts, test = answer.blind.drafts, BlindTest(service)
    assert 0 < len(drafts) <= LIST_LENGTH
    credited = {"hllm": [], "baseline": []}
    for position, draft in enumerate(drafts, 1):
        team, message, _ = test.judge(vote(draft.item_id, position), HISTORY, item_filter)
        assert message == ""
        credited[team].append(draft.item_id)
    seen = []
    for draft in drafts:  # each team's drafts are its best ones that were left
        team = next(key for key, ids in credited.items() if draft.item_id in ids)
        assert draft.item_id == next(i for i in rankings[team] if i not in seen)
        seen.append(draft.item_id)
    assert abs(len(credited["hllm"]) - len(credited["baseline"])) <= 1
    # A list gives one vote: the last one.
    last, list_id = drafts[-1].item_id, answer.blind.list_id
    assert kept(service) == [(SESSION, SEED, list_id, last, len(drafts), team)]


def test_a_list_is_recorded_as_what_was_shown(service, events_of):
    answer = service.answer(HISTORY, SESSION, blind_seed=SEED)
    ((kind, model, item_ids, rank, session),) = events_of(service)
    assert (kind, model, rank, session) == ("shown", "blind", None, SESSION)
    assert all(f'"{draft.item_id}"' in item_ids for draft in answer.blind.drafts)


@pytest.mark.parametrize(
    ("changes", "history"),
    [
        ({"seed": ""}, HISTORY),
        ({"position": 0}, HISTORY),
        ({"position": 11}, HISTORY),
        ({"item_id": "gone"}, HISTORY),
        ({"item_id": "book-001"}, HISTORY),
        ({}, []),
        ({}, [*HISTORY, "gone"]),
        ({}, ["book-001"]),
        ({}, None),
    ],
)
def test_what_does_not_stand_there_counts_for_nobody_and_that_is_said(service, changes, history):
    drafts = service.answer(HISTORY, SESSION, blind_seed=SEED).blind.drafts
    pick = replace(vote(drafts[0].item_id, 1), **changes)
    assert BlindTest(service).judge(pick, history, NO_FILTER)[:2] == ("", GONE)
    service.events.flush()
    assert kept(service) == []


def test_a_pick_that_is_taken_back_is_deleted_and_can_come_again(service):
    item = service.answer(HISTORY, SESSION, blind_seed=SEED).blind.drafts[2].item_id
    test = BlindTest(service)
    team, *_ = test.judge(vote(item, 3), HISTORY, NO_FILTER)
    assert test.judge(vote(item, 3, withdrawn=True), HISTORY, NO_FILTER)[:2] == ("", "")
    assert kept(service) == []
    assert test.judge(vote(item, 3), HISTORY, NO_FILTER)[:2] == (team, "")
    assert len(kept(service)) == 1
    assert service.events.forget([SESSION]) == 2  # with what was shown


def test_both_models_must_answer(tmp_path, new_service, new_items):
    def missing():
        raise CheckpointError("No model here.")

    service = new_service(tmp_path / "c.db", new_items(12), load_hllm=missing)
    answer = service.answer(["book-001"], SESSION, blind_seed=SEED)
    assert answer.blind is None and len(answer.columns) == 2
    assert BlindTest(service).judge(vote("book-002", 1), ["book-001"], NO_FILTER)[:2] == ("", GONE)


def test_a_catalogue_of_few_items_gives_a_short_list(tmp_path, new_service, new_items):
    service = new_service(tmp_path / "c.db", new_items(3))
    drafts = service.answer(["book-001"], SESSION, blind_seed=SEED).blind.drafts
    assert sorted(draft.item_id for draft in drafts) == ["book-000", "book-002"]
    everything = [f"book-{number:03d}" for number in range(3)]
    assert service.answer(everything, SESSION, blind_seed=SEED).blind.drafts == []


def test_nothing_is_kept_where_nothing_may_be(service, tmp_path):
    service.events = EventLog(EventFile(tmp_path / "none.db"), days=0)
    item = service.answer(HISTORY, SESSION, blind_seed=SEED).blind.drafts[0].item_id
    test = BlindTest(service)
    assert test.judge(vote(item, 1), HISTORY, NO_FILTER)[0] in ("hllm", "baseline")
    test.judge(vote(item, 1, withdrawn=True), HISTORY, NO_FILTER)
    service.events.flush()
    assert not (tmp_path / "none.db").exists()


def test_too_many_at_once_are_told_so(service, monkeypatch):
    monkeypatch.setattr("app.places.MAX_WAIT_S", 0.01)
    test = BlindTest(service)
    with test._judging, test._judging, pytest.raises(BusyError):
        test.judge(vote("book-007", 1), HISTORY, NO_FILTER)


@pytest.mark.parametrize(
    ("wins", "result", "chance"),
    [
        ((7, 3), "HLLM won 7 to 3 against Baseline.", "could well be chance"),
        ((1, 9), "Baseline won 9 to 1 against HLLM.", "is unlikely to be chance"),
        ((5, 5), "A draw: 5 of your picks were drafted by each model.", "could well be chance"),
    ],
)
def test_the_reveal_says_who_won_and_whether_that_is_chance(service, wins, result, chance):
    found = BlindTest(service).reveal(wins)
    assert found[0] == result and chance in found[1]
