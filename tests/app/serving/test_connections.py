"""What connections may hold, against a real server on sockets."""

import asyncio
import json
import logging
import resource
import socket
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from app.serving import connections
from app.serving.connections import Limits, limits_of_this_machine
from tests.served import served
from tests.waiting import wait_until

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
NEVER = 1000.0


async def echo(scope, receive, send):
    """Answers with the body; /slow never, /large with more than anybody reads."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/slow":
        await asyncio.sleep(NEVER)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64 if scope["path"] == "/large" else 0):
        await send({"type": "http.response.body", "body": b" " * 2**20, "more_body": True})
    await send({"type": "http.response.body", "body": body or b"hello"})


@contextmanager
def limited(**limits):
    """A server with these limits; gives it, its address and what was refused."""
    refused = []
    patient = {"header_s": NEVER, "body_s": NEVER, "answer_s": NEVER, "keep_alive_s": 1000}
    with (
        socket_limit(),
        served(echo, Limits(**{**patient, **limits}), on_refusal=refused.append) as (server, url),
    ):
        server.config.timeout_graceful_shutdown = 0.1
        yield server, url, refused


@contextmanager
def socket_limit():
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(15)  # a guard against hanging
    yield
    socket.setdefaulttimeout(before)


def connect(url, sent=b""):
    parts = urlsplit(url)
    made = socket.create_connection((parts.hostname, parts.port))
    made.sendall(sent)
    return made


def rest(connection):
    """Everything until the server closes the connection; None if it is reset."""
    received = b""
    try:
        while data := connection.recv(2**16):
            received += data
    except ConnectionResetError:
        return None
    return received


def answered(connection):
    """One answer; the connection stays open."""
    received = b""
    while not received.endswith(b"\r\n0\r\n\r\n"):
        data = connection.recv(2**16)
        assert data, received
        received += data
    return received


def sentence_of(answer):
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), json.loads(body)["detail"]


def test_connection_that_says_nothing_is_closed_without_a_word():
    with limited(header_s=0.1) as (_, url, refused), connect(url) as one:
        assert not rest(one)
        assert refused == ["header"]


@pytest.mark.parametrize("before", [b"", HEAD + b"\r\n"], ids=["first", "further"])
def test_header_that_comes_byte_by_byte_ends(before):
    with limited(header_s=0.2) as (_, url, refused), connect(url, before) as one:
        if before:
            answered(one)
        one.sendall(HEAD)
        wait_until(lambda: refused or one.send(b"x") != 1)
        assert refused == ["header"]
        answer = rest(one)  # None where the last bytes came too late to be read
        assert answer is None or sentence_of(answer) == (
            408,
            "The header of the request took too long.",
        )


def test_body_that_does_not_come_ends():
    with limited(body_s=0.1) as (_, url, refused), connect(url, POST + b"ab") as one:
        assert sentence_of(rest(one)) == (408, "The body of the request took too long.")
        assert refused == ["body"]


@pytest.mark.parametrize("path", [b"/slow", b"/large"], ids=["computed too long", "not read"])
def test_answer_that_takes_too_long_ends(path):
    with limited(answer_s=0.2) as (server, url, refused):
        with connect(url, HEAD.replace(b"/", path, 1) + b"\r\n"):
            wait_until(lambda: refused == ["answer"])
            wait_until(lambda: not server.server_state.connections)


def test_time_for_a_request_begins_anew_with_each():
    with limited(header_s=0.5, body_s=0.5) as (_, url, refused), connect(url) as one:
        for _ in range(8):
            one.sendall(POST[:30])
            asyncio.run(asyncio.sleep(0.1))
            one.sendall(POST[30:] + b"abcd")
            assert b"abcd" in answered(one)
        assert refused == []


def test_connection_waits_for_a_further_request_for_a_while_only():
    with limited(keep_alive_s=0) as (_, url, refused), connect(url, HEAD + b"\r\n") as one:
        assert rest(one).endswith(b"0\r\n\r\n")
        assert refused == []


def test_idle_connections_make_room_for_visitors():
    with limited(connections=20, spared_s=0) as (server, url, refused), ExitStack() as stack:
        idle = [stack.enter_context(connect(url)) for _ in range(60)]
        wait_until(lambda: len(server.server_state.connections) == 20)
        assert not rest(idle[0])
        for _ in range(5):
            assert urlopen(url).read() == b"hello"
        assert refused == []


def test_visitors_are_not_cut_off_for_others_and_those_hear_why(caplog):
    with limited(connections=3, spared_s=0) as (server, url, refused), ExitStack() as stack:
        slow = HEAD.replace(b"/", b"/slow", 1) + b"\r\n"
        busy = [stack.enter_context(connect(url, slow)) for _ in range(3)]
        wait_until(lambda: len(server.server_state.tasks) == 3)
        status, sentence = sentence_of(rest(stack.enter_context(connect(url))))
        assert (status, refused) == (503, ["connections"]) and "try again" in sentence
        assert len(server.server_state.connections) == len(busy)
    assert "A connection is refused" in caplog.text


def test_newest_waiting_connections_are_spared():
    with limited(connections=2, spared_s=NEVER) as (_, url, _refused), ExitStack() as stack:
        first = stack.enter_context(connect(url))
        stack.enter_context(connect(url))
        assert rest(stack.enter_context(connect(url)))
        first.sendall(HEAD + b"\r\n")
        assert b"hello" in answered(first)


def test_one_public_address_cannot_take_all(monkeypatch):
    monkeypatch.setattr(connections, "_is_public", lambda address: True)
    with limited(per_address=3, spared_s=NEVER) as (_, url, _refused), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connect(url))
        assert sentence_of(rest(stack.enter_context(connect(url))))[0] == 503


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.7", False),
        ("fd00::1", False),
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("", False),
    ],
)
def test_addresses_behind_which_many_may_be_are_not_counted(address, public):
    assert connections._is_public(address) is public


@pytest.fixture
def file_limit(monkeypatch):
    """Pretends other limits of open files; gives what was set."""
    was_set = []

    def pretend(soft, hard):
        monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
        monkeypatch.setattr(resource, "setrlimit", lambda _, pair: was_set.append(pair))
        return was_set

    return pretend


def test_limit_of_open_files_is_raised(file_limit, caplog):
    was_set = file_limit(1024, 2**20)
    assert limits_of_this_machine().connections == connections.MAX_CONNECTIONS
    assert was_set == [(connections.WANTED_FILES, 2**20)]
    assert caplog.text == ""


def test_limit_that_cannot_be_raised_bounds_connections(file_limit, caplog):
    was_set = file_limit(512, 512)
    with caplog.at_level(logging.WARNING):
        assert limits_of_this_machine().connections == 512 - connections.FILES_FOR_OTHERS
    assert was_set == [] and "212 connections" in caplog.text
