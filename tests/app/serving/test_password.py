from base64 import b64encode

import pytest

from app.errors import RefusedError
from app.serving.password import MAX_WRONG, WINDOW_S, Guard, read_password
from hllm.errors import HLLMError

PASSWORD = "correct horse: ä"


def basic(password, user="admin"):
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def guard(now):
    return Guard(PASSWORD, clock=lambda: now[0])


def status(guard, authorization, address="192.0.2.1"):
    try:
        guard.check(authorization, address)
    except RefusedError as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize("user", ["admin", "", "anybody"])
def test_right_password_of_any_user_gets_in(guard, user):
    assert status(guard, basic(PASSWORD, user)) == 200


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !", "Basic YQ", "Bearer x", basic(""), basic(PASSWORD[:-1]), "Basic Ω"],
)
def test_what_is_not_the_password_does_not_get_in(guard, header):
    assert status(guard, header) == 401


def test_wrong_ones_are_few_a_minute_and_keep_nobody_else_out(guard, now):
    for _ in range(MAX_WRONG):
        assert status(guard, basic("wrong")) == 401
    assert status(guard, basic("wrong")) == 429
    assert status(guard, basic(PASSWORD)) == 429  # an attempt that is not compared tells nothing
    assert status(guard, basic(PASSWORD), "192.0.2.2") == 200
    assert status(guard, None) == 401  # a browser that asks first has not tried
    now[0] = WINDOW_S
    assert status(guard, basic(PASSWORD)) == 200


def test_addresses_of_one_network_of_ipv6_count_together(guard):
    for number in range(MAX_WRONG):
        assert status(guard, basic("wrong"), f"2001:db8::{number}") == 401
    assert status(guard, basic(PASSWORD), "2001:db8::ff") == 429
    assert status(guard, basic(PASSWORD), "2001:db8:0:1::ff") == 200


def test_asking_without_a_password_is_no_attempt(guard):
    assert {status(guard, None) for _ in range(2 * MAX_WRONG)} == {401}
    assert status(guard, basic(PASSWORD)) == 200


def test_password_is_the_line_of_the_file(tmp_path, caplog):
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    path.chmod(0o600)
    assert read_password(path) == PASSWORD and not caplog.text
    path.chmod(0o644)
    assert read_password(path) == PASSWORD
    assert "chmod 600" in caplog.text and PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"short\n", "at least 12 characters"),
        (b"", "at least 12 characters"),
        (b"two lines of\na password", "one line"),
        (b"x" * 2000, "at most 1024 bytes"),
        (b"\xff" * 20, "UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_file_without_a_password_is_one_sentence(tmp_path, content, words):
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HLLMError, match=words) as error:
        read_password(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
