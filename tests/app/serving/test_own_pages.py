import asyncio

from app.serving.own_pages import OwnPages

HEADERS = [
    (b"content-type", b"text/plain"),
    (b"access-control-allow-origin", b"http://localhost:1"),
    (b"access-control-allow-credentials", b"true"),
]


def test_no_other_origin_is_let_in_and_the_rest_stays():
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async def send(message):
        sent.append(message)

    asyncio.run(OwnPages(app)({"type": "http", "path": "/a"}, None, send))
    assert sent[0] == {"type": "http.response.start", "status": 200, "headers": HEADERS[:1]}
    assert sent[1]["body"] == b"/a"
