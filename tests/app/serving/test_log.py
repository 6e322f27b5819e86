import asyncio
import logging

import pytest

from app.serving import log
from app.serving.log import LineFormatter, Repeats, RequestIds, request_id


def record(message="A thing happened: %s", *arguments, name="app.x", level=logging.WARNING):
    return logging.LogRecord(name, level, __file__, 1, message, arguments, None)


def test_line_has_time_and_request():
    token = request_id.set("abc")
    try:
        line = LineFormatter().format(record("A thing"))
    finally:
        request_id.reset(token)
    time, _, rest = line.partition(" ")
    assert time.endswith("Z") and "T" in time
    assert rest == "WARNING app.x [abc] A thing"


def test_what_a_visitor_sent_is_cut_and_cannot_begin_a_line():
    line = LineFormatter().format(record("sent: %s", "a\n2026-01-01 ERROR\x1b[31m" + "x" * 10_000))
    assert "\n" not in line and "\x1b" not in line and r"a\n2026" in line
    assert len(line) < log.MAX_LINE_CHARS + 200 and "characters)" in line


@pytest.fixture
def clock():
    return [0.0]


def test_same_line_is_written_a_few_times_a_minute_and_counted(clock):
    repeats = Repeats(lambda: clock[0])
    records = [record("A thing happened: %s", n) for n in range(1000)]
    written = [r for r in records if repeats.filter(r)]
    assert len(written) == log.SAME_IN_WINDOW
    assert "further lines are left out" in written[-1].getMessage()
    assert repeats.filter(record("Another"))
    clock[0] += log.WINDOW_S
    later = record("A thing happened: %s", "again")
    assert repeats.filter(later)
    assert later.getMessage() == "A thing happened: again (980 lines like this were left out)"


def test_all_lines_together_are_bounded(clock):
    repeats = Repeats(lambda: clock[0])
    written = sum(repeats.filter(record(f"Kind {n} 100%")) for n in range(5000))
    assert written == log.ALL_IN_WINDOW
    assert len(repeats._seen) <= log.MAX_KINDS


def test_every_request_has_an_id_of_its_own_in_its_log_lines_and_its_answer():
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(await asyncio.to_thread(request_id.get))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})

    async def send(message):
        sent.append(dict(message["headers"])[log.REQUEST_ID].decode())

    for _ in range(2):
        asyncio.run(RequestIds(app)({"type": "http"}, None, send))
    assert seen == sent and len(set(seen)) == 2
    assert request_id.get() == "-"
