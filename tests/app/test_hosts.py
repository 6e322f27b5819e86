"""Names of the app and pages that may use it, without a server."""

import socket

import pytest

from app.errors import RefusedError
from app.hosts import MAX_SHOWN_CHARS, Hosts, hosts_of
from app.settings import Settings

HOSTS = Hosts(own=frozenset({"localhost", "mybox"}), allowed=frozenset({"books.example"}))


def is_refused(hosts, host, origin=None):
    try:
        hosts.check(host, origin)
    except RefusedError as error:
        assert error.status == 403 and "--allowed-hosts" in error.sentence
        return True
    return False


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:7860", "mybox.", "books.example:443", "127.0.0.1:7860", "[::1]:80",
     "10.0.0.7", "0.0.0.0:1"],
)  # fmt: skip
def test_own_names_and_addresses_are_answered(host):
    assert not is_refused(HOSTS, host)


@pytest.mark.parametrize(
    "host",
    ["", ":7860", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "mybox..",
     "localhost:99999999", "[::1", "evil.example#localhost", "me.hf.space", "a" * 5000],
)  # fmt: skip
def test_other_names_are_refused_with_a_short_sentence(host):
    assert is_refused(HOSTS, host)
    with pytest.raises(RefusedError) as error:
        HOSTS.check(host, None)
    assert len(error.value.sentence) < 150 + MAX_SHOWN_CHARS


def test_who_writes_a_name_into_an_address_comes_from_where_it_leads():
    """user@host: what is in front of the @ is no name."""
    assert is_refused(HOSTS, "localhost@evil.example")
    assert is_refused(HOSTS, "localhost", "http://localhost@evil.example")


@pytest.mark.parametrize(
    ("host", "origin", "refused"),
    [
        ("localhost:7860", "http://localhost:7860", False),
        ("localhost", "http://localhost", False),
        ("localhost:80", "http://localhost", False),  # the port that http means anyway
        ("localhost", "https://localhost", False),  # a proxy talks https to the world
        ("localhost:7860", "http://localhost:7861", True),
        ("localhost:7860", "http://localhost", True),
        ("localhost:7860", "http://127.0.0.1:7860", True),  # another name is another page
        ("localhost:7860", "https://books.example", False),
        ("localhost:7860", "null", True),
        ("localhost:7860", "", True),
        ("localhost:7860", "file://", True),
        ("localhost:7860", "https://evil.example", True),
        ("localhost:7860", "http://[x", True),
    ],
)
def test_pages_of_others_are_refused(host, origin, refused):
    assert is_refused(HOSTS, host, origin) is refused


def test_names_of_settings_and_environment():
    settings = Settings(host="Box.Example", allowed_hosts=("mine.example",))
    hosts = hosts_of(settings, {"GRADIO_SERVER_NAME": "ignored.example"})
    assert hosts.own == {"localhost", "box.example", socket.gethostname().lower()}
    assert hosts.allowed == {"mine.example"} and not hosts.on_space
    assert "listen.example" in hosts_of(Settings(), {"GRADIO_SERVER_NAME": "listen.example"}).own
    assert "" not in hosts_of(Settings(), {"SPACE_HOST": " , "}).own


def test_a_space_is_called_by_its_names_and_shown_by_the_hub():
    hosts = hosts_of(Settings(), {"SPACE_ID": "me/x", "SPACE_HOST": "me-x.hf.space, x.example"})
    assert not is_refused(hosts, "me-x.hf.space", "https://me-x.hf.space")
    assert not is_refused(hosts, "x.example") and not is_refused(hosts, "any--x.hf.space")
    assert is_refused(hosts, "evilhf.space") and is_refused(hosts, "me-x.hf.space.evil.example")
    assert "https://huggingface.co" in hosts.frame_ancestors
    assert HOSTS.frame_ancestors == "'self'"
