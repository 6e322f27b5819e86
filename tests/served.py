"""The app's own server in a thread, as tests that talk to it over HTTP need it."""

import threading
from contextlib import contextmanager

from app.serving.connections import Limits
from app.serving.server import Server, address_of, listen
from app.ui import build_demo, open_metrics, web_app
from tests.waiting import PATIENCE_S, wait_until


@contextmanager
def served(app, limits=None, **options):
    """Serve an ASGI app; gives the server and the address.

    Raises:
        AssertionError: the server does not end.
    """
    listener = listen("127.0.0.1", None, {})
    server = Server(app, limits or Limits(), **options)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    wait_until(lambda: server.started)
    try:
        yield server, address_of(listener)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def page_of(service, settings):
    """The app of a service, as app.ui.launch serves it."""
    return web_app(build_demo(service), service, settings, open_metrics(service, settings))
