"""A balancer as small as can be: connections go to the backends in turn, if they answer."""

import contextlib
import itertools
import socket
import threading

CHUNK = 1 << 16


class Balancer:
    """One address for several. A connection stays with the backend that it was given."""

    def __init__(self, ports):
        self._turn = itertools.cycle(list(ports))
        self._count = len(ports)
        self.served = dict.fromkeys(ports, 0)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._join, args=(client,), daemon=True).start()

    def _join(self, client):
        for port in itertools.islice(self._turn, self._count):
            with contextlib.suppress(OSError):
                backend = socket.create_connection(("127.0.0.1", port), timeout=5)
                backend.settimeout(None)
                self.served[port] += 1
                threading.Thread(target=_pump, args=(client, backend), daemon=True).start()
                _pump(backend, client)
                return
        client.close()


def _pump(source, target):
    """Bytes one way, until either side ends: then both do."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            target.sendall(data)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)
        side.close()
