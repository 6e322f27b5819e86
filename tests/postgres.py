"""A PostgreSQL server of its own for tests: on a temporary folder, as an unprivileged user."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

import pytest

NUMBERS = count(1)
_HOW = "PostgreSQL's server is not installed: apt-get install postgresql"


def find_programs():
    """The folder of initdb and postgres; None where they are not installed."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


class Postgres:
    """A server that can be ended, even killed, and started again on the same port."""

    def __init__(self, folder, programs):
        self.folder, self._programs = folder, programs
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.port = sock.getsockname()[1]
        self._process = None
        # It refuses to run as root.
        self._user = {}
        if os.getuid() == 0:
            nobody = next(
                (entry for entry in pwd.getpwall() if entry.pw_name in ("postgres", "nobody")), None
            )
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        self.password = "of a server for tests"
        words = folder / "password"
        words.write_text(self.password)
        if self._user:
            os.chown(words, self._user["user"], self._user["group"])
        self._run(
            "initdb", "-D", folder / "data", "-U", "tester", "-E", "UTF8", "--locale=C.UTF-8",
            "-A", "scram-sha-256", "--pwfile", words, "--no-sync",
        )  # fmt: skip

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True, text=True, cwd=self.folder, **self._user,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def start(self):
        self._process = subprocess.Popen(
            [
                self._programs / "postgres", "-D", self.folder / "data", "-p", str(self.port),
                "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
                "-c", "fsync=off", "-c", "autovacuum=off", "-c", "max_connections=60",
            ],
            stderr=(self.folder / "log").open("ab"), cwd=self.folder, **self._user,
        )  # fmt: skip
        ready = [self._programs / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        deadline = time.monotonic() + 60
        while subprocess.run(ready).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def is_running(self):
        return self._process is not None

    def stop(self):
        """End it at once, as an operator or a machine does; connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # fast shutdown
            self._process.wait(60)
            self._process = None

    def url(self, database="postgres"):
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def size(self, database):
        """Bytes of a database on the disk."""
        import psycopg

        with psycopg.connect(self.url()) as connection:
            return connection.execute("SELECT pg_database_size(%s)", [database]).fetchone()[0]

    def new_database(self):
        """The address of an empty database."""
        import psycopg

        name = f"t{next(NUMBERS)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """A running server; PGPASSWORD is set, as an operator would."""
    pytest.importorskip("psycopg", reason="pip install -r requirements-postgres.txt")
    programs = find_programs()
    if programs is None:
        pytest.skip(_HOW)
    # Not under pytest's folder, which an unprivileged user may not enter.
    with tempfile.TemporaryDirectory(prefix="hllm-postgres-") as folder:
        server = Postgres(Path(folder), programs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PGPASSWORD", server.password)
            server.start()
            yield server
            server.stop()


@pytest.fixture
def database(postgres):
    """The address of an empty database."""
    from app.catalog.address import Address

    return Address.parse(postgres.new_database())
