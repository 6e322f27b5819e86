"""What ZeroGPU has beside an app, as far as this machine can have it: see docs/space.md.

`DeviceApi` answers what the package `spaces` asks of the device API, and remembers it.
`lend_no_gpu` lets the package run where there is no GPU.
"""

import json
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from tests.answering import answering

LENT = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "allowed"}


class DeviceApi:
    """A device API on this machine.

    Attributes:
        asked: (path, arguments) of every request, in order.
        quota: seconds that are left; who asks for more is refused.
        busy: "": a GPU is lent at once; "queue": after others; "late": not within a minute; "none":
            there is none.
    """

    def __init__(self):
        self.asked = []
        self.quota = 120
        self.busy = ""

    def paths(self):
        """What was asked, in order."""
        return [path for path, _ in self.asked]

    def arguments(self, path):
        """Of the last request of a path."""
        return next(arguments for found, arguments in reversed(self.asked) if found == path)

    def answer(self, path, arguments):
        """(status, body, kind of body) for a request."""
        self.asked.append((path, arguments))
        if path != "/schedule":
            return 200, "", "text/plain"
        if int(arguments["durationSeconds"]) > self.quota:
            return 429, json.dumps({"left": self.quota, "wait": 3600}), "application/json"
        if self.busy == "none":
            return 503, "", "text/plain"
        if self.busy:
            event = "failed" if self.busy == "late" else f"succeeded\ndata: {json.dumps(LENT)}"
            return 200, f"event: {event}\n\n", "text/event-stream"
        return 200, json.dumps(LENT), "application/json"


@contextmanager
def device_api():
    """Serve a device API; gives it and its address."""
    api = DeviceApi()

    def answer(_method, address, _body):
        found = urlsplit(address)
        arguments = {name: values[0] for name, values in parse_qs(found.query).items()}
        status, body, kind = api.answer(found.path, arguments)
        return status, body.encode(), kind

    with answering(answer) as address:
        yield api, address


def _no():
    return False


def lend_no_gpu():
    """Let `spaces` run in ZeroGPU's way where torch has no CUDA and there is no GPU.

    It is the installed package: its decorator, its requests, its forked process and its pickled
    results. Left out is what needs the device: the two calls that begin a process on a GPU.
    """
    import torch

    if torch.version.cuda is None:  # built without CUDA: it lacks what is looked at on import
        torch.version.cuda, torch.cuda._is_in_bad_fork = "12.8", _no
        torch._C._cuda_init = torch._C._cuda_getCurrentRawStream = None
    import spaces.zero.torch as device

    device.init = lambda _uuid: None
    device.move = lambda callback=None: None
