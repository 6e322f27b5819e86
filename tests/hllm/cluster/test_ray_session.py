"""Ray is started for this machine alone, and ends with the session."""

import socket
import sys

import psutil
import pytest

from hllm.cluster.ray_session import ray_session
from hllm.errors import DataError


def test_where_nothing_listens_it_is_said_at_once():
    pytest.importorskip("ray", reason="requirements-scale.txt is not installed")
    with socket.socket() as taken:  # a port that is free, since this one is not listened at
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        sentence = f"No Ray cluster answers at {address} "
        with pytest.raises(DataError, match=sentence), ray_session(address):
            pass


def test_without_ray_the_error_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DataError, match="pip install -r requirements-scale"), ray_session():
        pass


def listening(processes):
    """Addresses on which processes accept connections."""
    found = set()
    for process in processes:
        try:
            connections = process.net_connections("tcp")
        except psutil.NoSuchProcess:
            continue
        found |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.slow
def test_what_is_started_listens_on_loopback_reports_nothing_and_ends():
    pytest.importorskip("ray", reason="Ray is not installed (requirements-scale.txt)")
    own = psutil.Process()
    before = {process.pid for process in own.children(recursive=True)}
    with ray_session() as ray:
        started = [p for p in own.children(recursive=True) if p.pid not in before]
        assert any("raylet" in " ".join(process.cmdline()) for process in started)
        # IPv4 on an IPv6 socket is written ::ffff:127.0.0.1.
        addresses = {ip.removeprefix("::ffff:") for ip in listening([own, *started])}
        assert addresses == {"127.0.0.1"}
        from ray._common.usage import usage_lib

        assert usage_lib.usage_stats_enabled() is False
        assert ray.cluster_resources()["CPU"] >= 1
    assert not ray.is_initialized()
    _, alive = psutil.wait_procs(started, timeout=60)
    assert alive == []
