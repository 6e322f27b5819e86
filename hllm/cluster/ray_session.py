"""Starts Ray on this machine alone, or joins a cluster that somebody runs.

Whoever reaches a Ray cluster's ports and has its token can run code on all its nodes. What is
started here listens on the loopback address and nowhere else, has no dashboard, and reports its
usage to nobody.
"""

import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hllm.errors import DataError

# Read by Ray when it is imported, and by all that it starts. The first, whose name speaks of other
# systems, has it use the loopback address for everything; the second has nobody join without the
# token of this user (~/.ray/auth_token, made if missing).
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}
# Between two tries of a worker that cannot be reached, the second number at most. Ray's own waits
# are over, and the bounded tries with them, before it knows that a node has died.
PATIENT = {
    "RAY_task_actor_unavailable_retry_delay_base_ms": "10000",
    "RAY_task_actor_unavailable_retry_max_delay_ms": "60000",
}
_PATIENCE_S = 10
_SILENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # Tells workers that their node will be taken away, and ours would not listen: they have written
    # their state, and go on from it. Without it an actor less, and what Ray warns of it.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}


@contextmanager
def ray_session(address: str = "", *, logs: bool = False) -> Iterator[Any]:
    """Give the module ray, connected; it is disconnected, or ended if it was started, afterwards.

    Args:
        address: "": start Ray on this machine; else HOST:PORT of a cluster, or "auto" for the one
            that this machine belongs to.
        logs: whether to show what workers write.

    Raises:
        DataError: Ray is not installed, or there is no such cluster.
    """
    os.environ.update(_SILENT | PATIENT if address else _SILENT | PATIENT | LOOPBACK)
    try:
        import ray  # noqa: PLC0415  an extra, and it reads the variables above
    except ImportError as error:
        raise DataError(
            "Ray is not installed: pip install -r requirements-scale.txt -c constraints.txt"
        ) from error
    options: dict[str, Any] = {"address": address}
    _check_answers(address)
    if not address:
        options = {"address": "local", "include_dashboard": False}
    if logs:
        options["runtime_env"] = {"worker_process_setup_hook": _cleaner_quieter()}
    try:
        ray.init(**options, log_to_driver=logs, logging_level=logging.WARNING)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        where = f"at {address}" if address else "on this machine"
        raise DataError(
            f"No Ray cluster answers {where} ({reason}): look with  ray status  on its first node."
        ) from error
    try:
        own = ray.util.get_node_ip_address()
        if not address and not ipaddress.ip_address(own).is_loopback:
            raise DataError(
                f"Ray listens on {own} and not on this machine alone: it was imported before this "
                "could be set, or this version does it otherwise. Nothing was started."
            )
        yield ray
    finally:
        ray.shutdown()


def _cleaner_quieter() -> Callable[[], None]:
    """What keeps back, in a worker, what Ray Train says every second where there is no dashboard.

    What it would clean up, a Ray of this machine alone loses at its end anyway.
    """

    # Within a function, so that it travels as it is: a worker does not find this project yet.
    def quiet() -> None:
        import logging  # noqa: PLC0415  travels, too

        name = "ray.train.v2._internal.execution.controller.placement_group_cleaner"
        logging.getLogger(name).setLevel(logging.ERROR)

    return quiet


def _check_answers(address: str) -> None:
    """Ask whether anything listens there at all: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # "", "auto", or what Ray shall judge
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise DataError(
            f"No Ray cluster answers at {address} ({error}): look with  ray status  on its first "
            "node."
        ) from error
