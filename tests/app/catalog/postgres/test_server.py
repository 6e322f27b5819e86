"""Connections: many readers, one writer, and a server that goes away and comes back."""

import logging
import threading

import pytest

psycopg = pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")

from app.catalog.postgres import server as server_module  # noqa: E402
from app.catalog.postgres.server import Server, connect, conninfo, in_one_line, is_away  # noqa: E402
from app.errors import AwayError, CatalogError  # noqa: E402
from tests.waiting import wait_until  # noqa: E402


@pytest.fixture
def server(database):
    server = Server(database, "public")
    yield server
    server.close()


def test_a_session_takes_the_catalogues_sql(server):
    with server.writing() as db:
        db.execute("CREATE TABLE t (a integer PRIMARY KEY, b text)")
        assert db.executemany("INSERT INTO t VALUES (?, ?)", [(1, "50%"), (2, "?")]).rowcount == 2
        conflict = "INSERT INTO t VALUES (?, ?) ON CONFLICT DO NOTHING"
        assert db.executemany(conflict, [(2, "x"), (3, "y")]).rowcount == 1
        assert db.executemany(conflict, []).rowcount == 0
    with server.reading() as db:
        assert db.execute("SELECT b FROM t WHERE a < ? ORDER BY a", [3]).fetchall() == [
            ("50%",), ("?",),
        ]  # fmt: skip
        assert db.execute("SELECT a FROM t WHERE b = ?", ["50%\x00"]).fetchall() == []


def test_a_reader_cannot_write(server):
    with server.writing() as db:
        db.execute("CREATE TABLE t (a integer)")
    with pytest.raises(CatalogError, match="the app's log says why"), server.reading() as db:
        db.execute("INSERT INTO t VALUES (1)")


def test_what_fails_is_rolled_back(server):
    with pytest.raises(ZeroDivisionError), server.writing() as db:
        db.execute("CREATE TABLE t (a integer)")
        raise ZeroDivisionError
    with server.reading() as db:
        assert db.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_visitors_do_not_read_where_the_database_is(server, caplog):
    with pytest.raises(CatalogError) as told, server.reading() as db:
        db.execute("SELECT * FROM missing")
    assert "127.0.0.1" not in str(told.value) and "missing" not in str(told.value)
    assert 'relation "missing" does not exist' in caplog.text


def test_two_imports_do_not_mix(server, database):
    other = Server(database, "public")
    with server.importing():
        with pytest.raises(CatalogError, match="Another program is writing"), other.importing():
            pass
        with (
            pytest.raises(CatalogError, match="Another program is writing"),
            other.writing(patience_ms=50),
        ):
            pass
        with server.writing() as db:  # the import itself
            db.execute("SELECT 1")
    with other.importing(), other.writing() as db:
        db.execute("SELECT 1")
    other.close()


def test_an_import_whose_connection_is_lost_does_not_go_on(server, database):
    with server.importing():
        with connect(database, "public") as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            )
        with pytest.raises(CatalogError, match="cannot be written"), server.writing():
            pass
        with pytest.raises(CatalogError, match="with it the lock"), server.writing():
            pass
    with server.writing() as db:  # the next one
        db.execute("SELECT 1")


def test_a_server_that_is_away_is_said_once_and_found_again(server, away, caplog, monkeypatch):
    monkeypatch.setattr(server_module, "PATIENCE_S", 0.5)
    caplog.set_level(logging.WARNING)
    with server.reading() as db:
        db.execute("SELECT 1")
    away.stop()
    for _ in range(20):  # the first waits, the others need not
        with pytest.raises(AwayError, match="try again in a moment"), server.reading() as db:
            db.execute("SELECT 1")
    assert caplog.text.count("cannot be reached") == 1
    assert away.password not in caplog.text
    away.start()

    def answers():
        try:
            with server.reading() as db:
                return db.execute("SELECT 1").fetchone() == (1,)
        except AwayError:
            return False

    wait_until(answers)
    assert caplog.text.count("is there again") == 1


def test_a_connection_that_the_server_has_ended_is_replaced_unnoticed(server, database):
    with server.reading() as db:
        db.execute("SELECT 1")
    with connect(database, "public") as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with server.reading() as db:
        assert db.execute("SELECT 1").fetchone() == (1,)


def test_many_threads_read_at_once(server):
    failures = []

    def read():
        try:
            for _ in range(5):
                with server.reading() as db:
                    db.execute("SELECT pg_sleep(0.001)")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_which_errors_mean_that_the_server_is_gone():
    assert is_away(psycopg.errors.AdminShutdown()) and is_away(psycopg.InterfaceError())
    for other in (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.DataError):
        assert not is_away(other())
    assert in_one_line(ValueError("a\n  b\n\n")) == "a; b"


def test_an_address_names_what_to_connect_to_and_no_password(database):
    text = conninfo(database, "public", 5)
    assert "search_path=public" in text and "statement_timeout=5" in text
    assert "password" not in text
