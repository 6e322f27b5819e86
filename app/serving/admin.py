"""The operator's page behind a password: what visitors saw and picked, as tables, plots and csv.

Nothing on it runs: it is drawn here. Texts that are not ours are escaped by app.render.text.
"""

import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from app.catalog.event_reader import COLUMNS, DayCount, EventReader
from app.catalog.opening import open_event_reader
from app.csv_writer import CsvWriter
from app.errors import CatalogError, RefusedError
from app.events.plot import draw
from app.render import number, text
from app.scoreboard import HIT_RANK
from app.service import Service
from app.serving.password import WINDOW_S, Guard

DAYS, MOST_ITEMS = 30, 20
KINDS = ("shown", "clicked", "scored", "blind")
BAR_WIDTH, BAR_HEIGHT = 20, 100
_HEADERS = {"Cache-Control": "no-store"}
_ASK = {"WWW-Authenticate": 'Basic realm="HLLM Live", charset="UTF-8"'}
_STYLE = (
    ":root{color-scheme:light dark;--ink:#1f1d1a;--paper:#fff;--link:#3f46b8;--line:#e4ded3}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ece7de;--paper:#191817;--link:#a9b0ff;"
    "--line:#3a3733}}"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:760px;margin:2rem auto;padding:0 1rem;overflow-wrap:anywhere}"
    "h1{line-height:1.2}a{color:var(--link)}table{border-collapse:collapse}"
    "td,th{padding:.2rem .7rem .2rem 0;text-align:left;vertical-align:top;"
    "border-top:1px solid var(--line)}th{border:0}"
    "th,.n,.days td{overflow-wrap:normal;white-space:nowrap}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}"
    ".bars{max-width:100%;height:auto;fill:var(--link)}"
    # Drawn in dark ink, and as wide as its words need.
    ".picture{overflow-x:auto;background:#fff;border-radius:6px}.picture svg{display:block}"
)


def admin_routes(service: Service, guard: Guard) -> list[Route]:
    """The routes /-/admin and /-/admin/events.csv.

    Args:
        service: what is served.
        guard: knows the password.
    """

    def behind_password(
        answer: Callable[[Service], Response],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            address = request.client.host if request.client else ""
            try:
                guard.check(request.headers.get("authorization"), address)
                name = request.query_params.get("catalog", service.name)
                if name not in service.installed:
                    raise RefusedError(404, "There is no catalogue of this name here.")
                return await run_in_threadpool(answer, service.installed[name])
            except RefusedError as refusal:
                wait = {401: _ASK, 429: {"Retry-After": f"{WINDOW_S:.0f}"}}.get(refusal.status, {})
                return _sentence(refusal.sentence, refusal.status, {**_HEADERS, **wait})
            except CatalogError as error:
                return _sentence(str(error), 503, _HEADERS)

        return checked

    return [
        Route("/-/admin", behind_password(lambda one: HTMLResponse(render(one), 200, _HEADERS))),
        Route("/-/admin/events.csv", behind_password(_csv)),
    ]


def _sentence(sentence: str, status: int, headers: Mapping[str, str]) -> Response:
    """An answer without the page: a person reads it in a browser."""
    return HTMLResponse(_page("HLLM Live", f"<p>{text(sentence)}</p>"), status, headers)


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Admin: {text(title)}</title><style>{_STYLE}</style>"
        f"<h1>{text(title)}</h1>{body}</html>\n"
    )


def _reader(service: Service) -> EventReader:
    return open_event_reader(service.catalog.place)


def _csv(service: Service) -> Response:
    """All events, without cells that a spreadsheet would run."""
    folder = tempfile.TemporaryDirectory(prefix="hllm-events-")
    try:
        path = Path(folder.name) / "events.csv"
        CsvWriter(escapes=True)(path, COLUMNS, (row.cells() for row in _reader(service).rows()))
    except BaseException:
        folder.cleanup()
        raise
    done = BackgroundTask(folder.cleanup)
    return FileResponse(path, 200, _HEADERS, "text/csv", done, filename="events.csv")


def render(service: Service) -> str:
    """The whole page, as HTML.

    Raises:
        CatalogError: events or catalogue cannot be read.
    """
    reader, name, others = _reader(service), service.catalog_name, _others(service)
    if not reader.exists():
        nothing = "<p>Nothing yet: nothing was shown, or nothing is to be kept of it.</p>"
        return _page(name, others + nothing)
    picture, _ = draw(name, reader.blind_counts(), reader.pick_sums(HIT_RANK))
    days = by_day(reader.day_counts())
    clicked = reader.most_clicked(MOST_ITEMS)
    items = service.catalog.get([item_id for item_id, _ in clicked])
    titles = [
        (items[item_id].title if item_id in items else item_id, count) for item_id, count in clicked
    ]
    return _page(
        name,
        f'{others}<p><a href="admin/events.csv?catalog={text(service.name)}" download>'
        "Download all events as csv</a></p>"
        f"<h2>The last {DAYS} days with events</h2>"
        f"{_bars([day.counts[1] for day in days[::-1]])}"
        f"{_table(('Day', *KINDS), [(day.day, *day.counts) for day in days], 'days')}"
        '<h2>Picks</h2><div class="picture" role="region" aria-label="Picks" tabindex="0">'
        f"{picture}</div>"
        f"<h2>Clicked most</h2>{_table(('Item', 'clicks'), titles)}",
    )


def _others(service: Service) -> str:
    """Where the other catalogues are; "" if there are none."""
    links = [
        f'<a href="admin?catalog={text(name)}">{text(one.catalog_name)}</a>'
        for name, one in service.installed.items()
        if name != service.name
    ]
    return f"<p>Other catalogues: {', '.join(links)}</p>" if links else ""


@dataclass(frozen=True)
class Day:
    """Events of a day (UTC), one count for each of KINDS."""

    day: str
    counts: tuple[int, ...]


def by_day(found: Iterable[DayCount]) -> list[Day]:
    """The last days on which there was something, the latest first."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        counts.setdefault(one.day, {})[one.kind] = one.count
    latest = sorted(counts, reverse=True)[:DAYS]
    return [Day(day, tuple(counts[day].get(kind, 0) for kind in KINDS)) for day in latest]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], css: str = "") -> str:
    if not rows:
        return "<p>Nothing yet.</p>"

    def cell(value: object) -> str:
        if isinstance(value, int):
            return f'<td class="n">{number(value)}</td>'
        return f"<td>{text(value)}</td>"

    titles = [f'<th class="n">{text(value)}</th>' for value in head[1:]]
    lines = [f"<th>{text(head[0])}</th>{''.join(titles)}"]
    lines += ["".join(cell(value) for value in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table class="{css}">{body}</table>'


def _bars(counts: Sequence[int]) -> str:
    """A bar for each count, as SVG, below a line that says how much the highest one is."""
    if not any(counts):
        return ""
    most, width = max(counts), BAR_WIDTH * len(counts)
    bars = "".join(
        f'<rect x="{BAR_WIDTH * at}" y="{BAR_HEIGHT * (1 - count / most):.1f}" '
        f'width="{BAR_WIDTH - 4}" height="{BAR_HEIGHT * count / most:.1f}">'
        f"<title>{number(count)}</title></rect>"
        for at, count in enumerate(counts)
    )
    return (
        f"<p>Clicks a day, {number(most)} at most, the latest on the right.</p>"
        f'<svg class="bars" viewBox="0 0 {width} {BAR_HEIGHT}" width="{width}" '
        f'height="{BAR_HEIGHT}" role="img" aria-label="Clicks a day">{bars}</svg>'
    )
