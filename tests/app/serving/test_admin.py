import csv
import io
import re
import time
from base64 import b64encode
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from xml.dom import minidom

import pytest

from app.catalog.event_reader import DayCount
from app.serving.admin import DAYS, by_day
from app.settings import Settings
from tests.served import page_of, served

PASSWORD = "a long password"
PAGE, CSV = "/-/admin", "/-/admin/events.csv"


def ask(url, path, password=None):
    headers = {}
    if password is not None:
        headers["Authorization"] = "Basic " + b64encode(f"admin:{password}".encode()).decode()
    try:
        with urlopen(Request(url + path, headers=headers)) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except HTTPError as error:
        return error.code, error.headers, error.read().decode()


@pytest.fixture
def service(tmp_path, new_service, new_hostile_items):
    hostile = "<script>alert(1)</script>"
    service = new_service(tmp_path / "c.db", new_hostile_items(), name=f"{hostile} & 'books'")
    item_ids = [item.item_id for item in service.catalog.popular(50)]
    service.events.add("s", "shown", "hllm", item_ids)
    for item_id in (*item_ids, "=gone<script>"):
        service.events.add("s", "clicked", "hllm", [item_id], 1)
    service.events.add_pick("s", item_ids[0], 1, None)
    service.events.flush()
    return service


@pytest.fixture
def url(tmp_path, service):
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    settings = Settings(data_dir=tmp_path, admin_password_file=path)
    with served(page_of(service, settings)) as (_, url):
        yield url


@pytest.mark.parametrize("path", [PAGE, CSV])
def test_nothing_is_there_without_a_password_file(tmp_path, service, path):
    with served(page_of(service, Settings(data_dir=tmp_path))) as (_, url):
        assert ask(url, path, PASSWORD)[0] == 404


@pytest.mark.parametrize("path", [PAGE, CSV])
@pytest.mark.parametrize("password", [None, "a wrong password", ""])
def test_nobody_gets_in_without_the_password(url, path, password):
    status, headers, text = ask(url, path, password)
    assert status == 401 and headers["WWW-Authenticate"].startswith("Basic ")
    assert "books" not in text and "hostile" not in text
    for _ in range(6):
        ask(url, path, "a wrong password")
    status, headers, _ = ask(url, path, PASSWORD)
    assert status == 429 and headers["Retry-After"] == "60"


def test_page_shows_what_there_is_and_runs_nothing(url, service):
    status, headers, text = ask(url, PAGE, PASSWORD)
    assert status == 200 and headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert time.strftime("%Y-%m-%d", time.gmtime())[:7] in text
    assert "1 pick of 1 visit" in text and "&lt;script&gt;alert(1)" in text
    tags = {tag.lower() for tag in re.findall(r"<\s*([a-zA-Z]+)", text)}
    assert not tags & {"script", "img", "iframe", "object", "a1", "base", "form"}, tags
    assert not re.search(r"<[^>]*\son\w+\s*=", text)
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        minidom.parseString(picture)


def test_csv_holds_all_events_and_no_formulas(url, service):
    status, headers, text = ask(url, CSV, PASSWORD)
    assert status == 200 and 'filename="events.csv"' in headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["kind"] for row in rows} == {"shown", "clicked", "scored"}
    assert "'=gone<script>" in {row["item_id"] for row in rows}


def test_events_that_cannot_be_read_are_one_sentence(url, service):
    service.events.close()
    for path in service.catalog.path.parent.glob("c.db.events.db*"):
        path.unlink()
    status, _, text = ask(url, PAGE, PASSWORD)
    assert status == 200 and "Nothing yet" in text
    status, _, text = ask(url, CSV, PASSWORD)
    assert status == 503 and "There is no file" in text
    (service.catalog.path.parent / "c.db.events.db").write_bytes(b"no database" * 1000)
    status, headers, text = ask(url, PAGE, PASSWORD)
    assert status == 503 and "c.db.events.db" in text and "Traceback" not in text
    assert headers["Content-Type"].startswith("text/html")


def test_days_are_the_latest_first_and_not_too_many():
    found = [DayCount(f"2025-01-{day:02}", "shown", 1) for day in range(1, 29)]
    found += [DayCount(f"2026-{month:02}-01", "clicked", month) for month in range(1, 13)]
    days = by_day(found)
    assert len(days) == DAYS
    assert (days[0].day, days[0].counts) == ("2026-12-01", (0, 12, 0, 0))


def test_every_catalogue_has_its_own_page_and_csv(
    tmp_path, service, new_service, new_items, beside
):
    other = new_service(tmp_path / "other.db", new_items(4), name="Other <b>")
    other.events.add("s", "clicked", "browse", ["book-002"])
    other.events.flush()
    beside(books=service, games=other)
    path = tmp_path / "password"
    path.write_text(PASSWORD)
    settings = Settings(data_dir=tmp_path, admin_password_file=path)
    with served(page_of(service, settings)) as (_, url):
        assert '<a href="admin?catalog=games">Other &lt;b&gt;</a>' in ask(url, PAGE, PASSWORD)[2]
        page = ask(url, f"{PAGE}?catalog=games", PASSWORD)[2]
        assert "Book number 2" in page and 'href="admin/events.csv?catalog=games"' in page
        assert "book-002" in ask(url, f"{CSV}?catalog=games", PASSWORD)[2]
        assert "book-002" not in ask(url, CSV, PASSWORD)[2]
        assert ask(url, f"{PAGE}?catalog=gone", PASSWORD)[0] == 404
        assert ask(url, f"{PAGE}?catalog=games", "a wrong password")[0] == 401
