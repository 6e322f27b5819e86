"""What the server answers to the page: app.contract names the payloads, here they are made."""

import logging
import time
from typing import Any

from app.blind import BlindTest, Vote
from app.cards import Card
from app.catalog import ItemFilter
from app.columns import LIST_LENGTH
from app.contract import (
    AnswerPayload,
    BrowsePayload,
    DetailPayload,
    ErrorPayload,
    ExamplePayload,
    FilterPayload,
    ForgetPayload,
    ItemPayload,
    KeepPayload,
    PushesPayload,
    RecordPayload,
    WholePayload,
    WhyPayload,
    WritePayload,
)
from app.contract_picks import BlindPickPayload, RevealPayload, ScoresPayload, VerdictPayload
from app.detail import Details
from app.downloads import Downloads
from app.errors import AwayError, CatalogError
from app.examples import Example, shown_name
from app.how import how_payload
from app.languages import marked, tr, tr_reason
from app.line import TOO_MANY
from app.models_payload import shown_payload
from app.render import plural, render_cards, render_no_cards
from app.render_blind import render_blind
from app.render_detail import render_detail, render_inside, render_no_detail, render_why
from app.render_recommendations import render_column, render_popular, summary
from app.render_writing import render_writing
from app.scoreboard import Scoreboard
from app.service import Answer, Service
from app.session import (
    ANONYMOUS,
    clean_browse,
    clean_click,
    clean_detail,
    clean_filter,
    clean_key,
    clean_position,
    clean_rows,
    clean_seed,
    clean_session_id,
    clean_session_ids,
    clean_what_if,
    clean_wins,
    is_blind,
)
from app.writing import Writer
from app.written import written_item, written_payload
from hllm.errors import HLLMError
from hllm.serving.request_batching import BusyError

# Of a question: a page counts its own.
MAX_VERSION = 10**9
NOT_COUNTED = marked("This pick does not count: {reason}")

logger = logging.getLogger(__name__)


def record_payload(service: Service, raw: Any) -> RecordPayload:
    """Note a ClickPayload; what is none of ours is settled, too."""
    click = clean_click(raw)
    return {"is_settled": click is None or service.record_click(click)}


def forget_payload(service: Service, raw: Any) -> ForgetPayload:
    """Delete what was recorded under the ids of a ForgetRequest, of every catalogue."""
    sessions = clean_session_ids(raw.get("sessions") if isinstance(raw, dict) else None)
    try:
        count = sum(one.events.forget(sessions) for one in service.installed.values())
    except CatalogError as error:
        logger.warning("%s", error)
        return {"message": tr("It could not be deleted: try again later.")}
    entries = plural(count, "entry", "entries")
    return {"message": tr("{entries} of this browser deleted.", entries=entries)}


def browse_payload(service: Service, raw: Any) -> BrowsePayload:
    """The part of the catalogue that a page asks for with a BrowseQuery."""
    request = clean_browse(raw)
    try:
        found = service.browse(request)
    except CatalogError as error:
        return {"html": "", "cursor": None, "count": tr_reason(error)}
    if not found.cards:
        html = render_no_cards(request, service.num_items)
        return {"html": html, "cursor": None, "count": tr("No items")}
    count = plural(found.total, "item") if found.total is not None else tr("Many items")
    return {"html": render_cards(found.cards), "cursor": found.next_cursor, "count": count}


def detail_payload(details: Details, raw: Any) -> DetailPayload:
    """What a page shows for a DetailQuery."""
    item_id, history = clean_detail(raw)
    try:
        found = details.find(item_id, history, is_blind=is_blind(raw))
    except (CatalogError, HLLMError) as error:
        return _no_detail(tr("Details"), tr_reason(error))
    if found is None:
        return _no_detail(tr("Not found"), tr("This item is not in this catalogue."))
    return {
        "title": found.card.title,
        "html": render_detail(found),
        "explains": found.explains,
        "inside": render_inside(found),
    }


def _no_detail(title: str, sentence: str) -> DetailPayload:
    return {"title": title, "html": render_no_detail(sentence), "explains": "no", "inside": ""}


def why_payload(details: Details, raw: Any) -> WhyPayload:
    """The explanation that a page asks for with a DetailQuery."""
    item_id, history = clean_detail(raw)
    try:
        found = details.explain(item_id, history)
    except (CatalogError, HLLMError) as error:
        return {"html": render_no_detail(tr_reason(error)), "changes": {}}
    if found is None:
        return {"html": "", "changes": {}}
    return {"html": render_why(found), "changes": found.scaled_changes}


def whole_payload(details: Details, raw: Any) -> WholePayload:
    """What reading the history of a WholeQuery anew takes."""
    nothing: WholePayload = {"num_read": 0, "encode_ms": 0.0, "cosine": 0.0, "message": ""}
    try:
        found = details.read_whole(raw.get("history") if isinstance(raw, dict) else None)
    except (CatalogError, HLLMError) as error:
        return {**nothing, "message": tr_reason(error)}
    if found is None:
        return {**nothing, "message": tr("There is no User LLM here that could read it.")}
    return {
        "num_read": found.num_read,
        "encode_ms": found.encode_ms,
        "cosine": found.cosine,
        "message": "",
    }


def pushes_payload(details: Details, raw: Any) -> PushesPayload:
    """What the items of the history of a PushesQuery push; nothing where that cannot be told."""
    raw = raw if isinstance(raw, dict) else {}
    keys = [column.key for column in details.columns]
    try:
        return {"pushes": details.pushes(raw.get("history"), clean_rows(raw.get("rows"), keys))}
    except (CatalogError, HLLMError) as error:
        logger.info("What a history pushes is not shown: %s", error)
        return {"pushes": {}}


def write_payload(writer: Writer, raw: Any) -> WritePayload:
    """What both models make of the item of a WriteRequest."""
    raw = raw if isinstance(raw, dict) else {}
    try:
        if raw.get("item") is None:
            info = writer.prepare()
            states = {"ready": "ready", "loading": "later", "failed": "failed"}
            return _not_written(states[info.state], info.message)
        found = writer.write(
            written_item(raw["item"]), raw.get("history"), is_wish=raw.get("wish") is True
        )
    except ValueError as error:
        return _not_written("refused", str(error))
    except (CatalogError, HLLMError) as error:
        return _not_written("later", tr_reason(error))
    lead = found.detail.columns[found.lead].info
    if lead.key not in found.encode_ms:
        return _not_written("later", lead.message)
    return {
        "state": "ready",
        "message": "",
        "item": item_payload(found.detail.card),
        "written": written_payload(found.detail.item),
        "html": render_writing(found),
    }


def _not_written(state: str, message: str) -> WritePayload:
    return {"state": state, "message": message, "item": None, "written": None, "html": ""}


def verdict_payload(scoreboard: Scoreboard, raw: Any) -> VerdictPayload | None:
    """Where both models had the item of a PickRequest, which is recorded; None if they had not."""
    raw = raw if isinstance(raw, dict) else {}
    item_id, history = clean_detail(raw)
    session, key = clean_session_id(raw.get("session")), clean_key(raw.get("key"))
    try:
        found = scoreboard.judge(item_id, history, session, key)
    except (AwayError, BusyError) as error:  # for now
        logger.info("A pick is not counted yet: %s", error)
        return {"item": item_id, "title": "", "ranks": {}, "num_ranked": {}, "is_stored": False}
    except (CatalogError, HLLMError) as error:
        logger.warning("A pick is not counted: %s", error)
        return None
    if found is None:
        return None
    return {
        "item": item_id,
        "title": found.card.title,
        "ranks": {key: rank.rank for key, rank in found.ranks.items()},
        "num_ranked": {key: rank.num_ranked for key, rank in found.ranks.items()},
        "is_stored": found.is_stored,
    }


def blind_payload(test: BlindTest, raw: Any) -> BlindPickPayload:
    """For whom the pick of a BlindPickRequest counts, which is recorded."""
    raw = raw if isinstance(raw, dict) else {}
    item_id, history = clean_detail(raw)
    vote = Vote(
        clean_seed(raw.get("seed")),
        item_id,
        clean_position(raw.get("position")),
        raw.get("withdrawn") is True,
        clean_session_id(raw.get("session")),
    )
    try:
        item_filter, _ = clean_filter(raw.get("filter"), test.service.catalog.filters.has_category)
        found = test.judge(vote, history, item_filter)
    except (AwayError, BusyError) as error:  # for now
        return {"team": "", "message": tr_reason(error), "is_stored": False}
    except (CatalogError, HLLMError) as error:
        message = tr(NOT_COUNTED, reason=tr_reason(error))
        return {"team": "", "message": message, "is_stored": True}
    return {"team": found.team, "message": found.message, "is_stored": found.is_stored}


def reveal_payload(test: BlindTest, raw: Any) -> RevealPayload:
    """What the picks of a RevealQuery say."""
    keys = [column.key for column in test.service.columns]
    wins = clean_wins(raw.get("wins") if isinstance(raw, dict) else None, keys)
    result, chance = test.reveal(wins)
    return {"result": result, "chance": chance}


def scores_payload(scoreboard: Scoreboard) -> ScoresPayload:
    """All picks that are kept."""
    try:
        return scoreboard.scores()
    except (CatalogError, HLLMError) as error:
        logger.warning("%s", error)
        message = tr("The picks of all visits cannot be read now.")
        return {"picks": 0, "visits": 0, "models": {}, "message": message}


def keep_payload(downloads: Downloads, service: Service, raw: Any) -> KeepPayload:
    """What can be taken along of the history of a KeepQuery."""
    nothing: KeepPayload = {"json": "", "csv": "", "snippet": "", "hint": "", "message": ""}
    raw = raw if isinstance(raw, dict) else {}
    try:
        item_filter, _ = clean_filter(raw.get("filter"), service.catalog.filters.has_category)
        found = downloads.make(raw.get("history"), item_filter)
    except (CatalogError, HLLMError) as error:
        return {**nothing, "message": tr_reason(error)}
    if found is None:
        return {**nothing, "message": tr("There is no history yet that could be taken along.")}
    return {
        "json": found.as_json,
        "csv": found.as_csv,
        "snippet": found.snippet.code,
        "hint": found.snippet.hint,
        "message": "",
    }


def answer_payload(service: Service, raw: Any) -> AnswerPayload | ErrorPayload:
    """The answer to an AnswerRequest."""
    started = time.perf_counter()
    request = raw if isinstance(raw, dict) else {}
    version = _version(request)
    try:
        has_category = service.catalog.filters.has_category
        item_filter, gone = clean_filter(request.get("filter"), has_category)
        session = clean_session_id(request.get("session"))
        is_counted = session != ANONYMOUS and 0 < version < MAX_VERSION
        seed = clean_seed(request.get("blind"))
        what_if = clean_what_if(request.get("what_if"), service.has_popularity)
        answer = service.answer(
            request.get("history"),
            session,
            item_filter=item_filter,
            with_example=request.get("example") is True,
            blind_seed=seed,
            what_if=what_if,
            question=str(version) if is_counted else "",
        )
    except CatalogError as error:
        is_away = isinstance(error, AwayError)  # for a moment: the page asks again
        return {"version": version, "error": tr_reason(error), "busy": is_away}
    # Nearly half of the bytes of an answer to a long history are what the page has already.
    asked = [card.item_id for card in answer.history] == request.get("history")
    is_known = asked and request.get("known") is True
    is_start = not answer.columns
    columns = render_columns(answer, item_filter, seed)
    return {
        "version": version,
        "history": None if is_known else [item_payload(card) for card in answer.history],
        "filter": filter_payload(item_filter),
        "notices": [*answer.notices, *gone, *(what_if.notices if what_if else ())],
        "warming": answer.warming,
        "agreement": "" if seed else summary(answer.columns),
        "live": live_line(answer, seed),
        "start": render_popular(answer.popular, service.examples) if is_start else None,
        "examples": [example_payload(e) for e in service.examples] if is_start else [],
        "columns": columns,
        "example": shown_name(answer.example),
        "how": None if seed else how_payload(answer.columns, started),
        "shown": None if seed else shown_payload(service),
    }


def busy_payload(raw: Any) -> ErrorPayload:
    """What a page gets at once where too many wait before it."""
    return {"version": _version(raw), "error": tr(TOO_MANY), "busy": True}


def _version(raw: Any) -> int:
    version = raw.get("version") if isinstance(raw, dict) else None
    return version if isinstance(version, int) else 0


def render_columns(answer: Answer, item_filter: ItemFilter, blind_seed: str) -> dict[str, str]:
    """HTML of each column by its key; of the one list if that was asked for."""
    if not answer.columns:
        return {}
    if blind_seed:
        return {"blind": render_blind(answer, blind_seed, item_filter)}
    first, second = answer.columns
    return {
        first.info.key: render_column(first, second, answer.cards, item_filter),
        second.info.key: render_column(second, first, answer.cards, item_filter),
    }


def item_payload(card: Card) -> ItemPayload:
    """What the history shows of an item."""
    return {
        "id": card.item_id,
        "title": card.title,
        "creator": card.creator,
        "cover": card.cover,
    }


def filter_payload(item_filter: ItemFilter) -> FilterPayload:
    """A filter as the page keeps it."""
    return {
        "category": item_filter.category,
        "min_price": item_filter.min_price,
        "max_price": item_filter.max_price,
    }


def example_payload(example: Example) -> ExamplePayload:
    """A history to start from."""
    return {"name": example.name, "items": [item_payload(card) for card in example.cards]}


def live_line(answer: Answer, blind_seed: str = "") -> str:
    """What a screen reader says after an update, and what stands above the columns."""
    if not answer.columns:
        return tr("Nothing clicked yet")
    if answer.warming:
        return tr("Warming up")
    if blind_seed:
        drafts = answer.blind.drafts if answer.blind else []
        made = plural(len(drafts), "recommendation")
        return tr("{recommendations}, drafted by both models in turn", recommendations=made)
    counts = [len(c.result.items[:LIST_LENGTH]) for c in answer.columns if c.result is not None]
    if not any(counts):
        return tr("No recommendations")
    if answer.example:
        return tr("Recommended for the example")
    made = plural(max(counts), "recommendation")
    return tr("{recommendations} updated", recommendations=made)
