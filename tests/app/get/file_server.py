"""A server of files on this machine that behaves as badly as it is told to."""

import hashlib
import re
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 4096


class Files:
    """What is served, and what was asked.

    Attributes:
        contents: path -> bytes.
        redirects: path -> where it leads.
        drops: connections of a path to cut, each after so many bytes of an answer.
        statuses: of the next answers of a path, instead of the file.
        headers: further ones of every answer.
        ranges: False: parts are not known, the whole file comes.
        etags: False: no ETag is sent; "weak": a weak one.
        lengths: False: no length is sent.
        types: path -> its Content-Type.
        pause: called after each chunk.
        asked: (path, range) of each request.
        sent: bytes of files in all.
    """

    def __init__(self, contents):
        self.contents = dict(contents)
        self.redirects, self.drops, self.statuses = {}, {}, {}
        self.ranges, self.etags, self.lengths = True, True, True
        self.types, self.headers = {}, {}
        self.pause = lambda: None
        self.asked, self.sent = [], 0
        self.url = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        files = self.server.files
        asked = self.headers.get("range")
        files.asked.append((self.path, asked))
        if self.path in files.redirects:
            return self._head(302, {"location": files.redirects[self.path], "content-length": 0})
        if files.statuses.get(self.path):
            return self._head(files.statuses[self.path].pop(0), {"content-length": 0})
        if self.path not in files.contents:
            return self._head(404, {"content-length": 0})
        return self._file(files, files.contents[self.path], asked)

    def _file(self, files, content, asked):
        etag = '"' + hashlib.md5(content).hexdigest() + '"'
        headers = {"etag": f"W/{etag}" if files.etags == "weak" else etag} if files.etags else {}
        if self.path in files.types:
            headers["content-type"] = files.types[self.path]
        status, body = 200, content
        match = re.fullmatch(r"bytes=(\d+)-", asked or "")
        if_range = self.headers.get("if-range")
        if match and files.ranges and (not if_range or if_range == headers.get("etag")):
            start = int(match[1])
            if start >= len(content):
                return self._head(416, {"content-length": 0})
            status, body = 206, content[start:]
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if files.lengths:
            headers["content-length"] = len(body)
        else:
            headers["connection"] = "close"
        self._head(status, headers)
        drops = files.drops.get(self.path)
        end = drops.pop(0) if drops else len(body)
        for at in range(0, min(end, len(body)), CHUNK):
            part = body[at : min(at + CHUNK, end)]
            self.wfile.write(part)
            files.sent += len(part)
            files.pause()
        if end < len(body) or not files.lengths:
            self.close_connection = True

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in (headers | self.server.files.headers).items():
            self.send_header(name, str(value))
        self.end_headers()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed is no error of a test."""


@contextmanager
def serving(contents, certificate=None):
    """Serve files; gives what can be told to the server, with its address.

    With a certificate (a file that holds its key, too) over https.
    """
    files = Files(contents)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.files = files
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        files.url = f"{scheme}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield files
        finally:
            server.shutdown()
            thread.join()
