"""What an engine makes of the Dockerfile, in namespaces of Linux: no engine is needed, but root.

Above this machine's own file system, in place of the base image, lies one whose changes vanish
(overlayfs). The instructions are carried out in it as they are written, and what they start runs
as it would in a container: as process 1, as the image's user, with a file system that cannot be
written and without a network.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def instructions(path=ROOT / "Dockerfile"):
    """(name, arguments) of each instruction, in order; comments and line breaks are gone."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def context_names():
    """Names at the top of the project that .dockerignore leaves to the build."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] != "#"]
    names = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    tops = {name.split("/")[0] for name in names}

    def is_sent(name):
        sent = True
        for rule in rules:  # the last one that fits decides
            if fnmatch(name, rule.removeprefix("!")):
                sent = rule.startswith("!")
        return sent

    return {name for name in tops if is_sent(name)}


def can_be_built():
    """Whether this machine lets us have namespaces of our own, and a file system over its own."""
    needed = ("unshare", "nsenter", "setpriv", "ip", "useradd")
    if os.geteuid() or not all(map(shutil.which, needed)):
        return False
    tried = subprocess.run(["unshare", "-mnpf", "true"], capture_output=True, check=False)
    return not tried.returncode


# The base's: of all that this machine has on its path, only the Python below our own environment.
BASE_PATH = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MOUNTS = """
set -e
mount --make-rprivate /
mount -t tmpfs none {top}
mkdir {top}/changes {top}/work {top}/root
mount -t overlay none -o lowerdir=/,upperdir={top}/changes,workdir={top}/work {top}/root
mkdir -p {top}/root/opt/venv
mount --bind {packages} {top}/root/opt/venv
mount --bind /dev {top}/root/dev
mount --bind /proc {top}/root/proc
chmod 755 {top}/root/root  # where the base's Python may lie, which everybody can run in an image
echo ready
exec sleep infinity
"""
START = """
set -e
mount -o remount,ro {root}
mount -o remount,ro,bind {root}/opt/venv
mount -t tmpfs none {root}/tmp
mount --bind {volume} {root}/data
mount -t proc none {root}/proc
ip link set lo up
exec chroot {root} setpriv --reuid={user} --regid={user} --clear-groups --inh-caps=-all \
    --bounding-set=-all --no-new-privs env -i -C {folder} {environ} {command}
"""


class Image:
    """The image that a Dockerfile makes; made by `built`.

    Attributes:
        environ: of what runs in it.
        user: its number.
        command: CMD.
        healthcheck: the command of HEALTHCHECK.
    """

    def __init__(self, root, inside):
        self._root, self._inside = root, inside
        self.environ = {"PATH": BASE_PATH}
        self.folder, self.user = "/", "0"
        self.command = self.healthcheck = None

    def build(self, arguments):
        """Carry out every instruction."""
        for name, rest in instructions():
            getattr(self, f"_{name.lower()}")(rest, arguments)

    def _from(self, rest, arguments):
        # The second one begins with an empty image. Here it has what the first one made, too,
        # which only the packages are: everything else of it lies in a folder of its own.
        self.environ = {"PATH": BASE_PATH}

    def _arg(self, rest, arguments):
        name, _, default = rest.partition("=")
        self.environ[name] = arguments.get(name, default)

    def _env(self, rest, arguments):
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self.environ[name] = value.replace("$PATH", self.environ["PATH"])

    def _workdir(self, rest, arguments):
        self._chroot(["mkdir", "-p", rest])
        self.folder = rest

    def _copy(self, rest, arguments):
        *sources, target = rest.split()
        if sources[0].startswith("--from"):
            return
        for source in sources:
            # The folder is not seen from outside, so that a program in there writes it.
            tracked = subprocess.check_output(
                ["git", "ls-files", "-z", source], cwd=ROOT, text=True
            )
            packed = subprocess.check_output(
                ["tar", "-c", "--null", "-T", "-"], cwd=ROOT, input=tracked.encode()
            )
            assert target in ("./", source)
            self._chroot(["tar", "-x", "--no-same-owner"], input=packed)

    def _run(self, rest, arguments):
        kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self._chroot(["/bin/sh", "-c", rest], **kept)

    def _user(self, rest, arguments):
        self.user = rest

    def _cmd(self, rest, arguments):
        self.command = json.loads(rest)

    def _healthcheck(self, rest, arguments):
        self.healthcheck = json.loads(rest.partition(" CMD ")[2])

    def _volume(self, rest, arguments):
        self.owner = self._chroot(["stat", "-c", "%u", rest]).decode().strip()

    def _expose(self, rest, arguments):
        pass

    def _chroot(self, command, input=b"", **environ):
        words = [f"{name}={value}" for name, value in (self.environ | environ).items()]
        done = subprocess.run(
            [*self._inside, "chroot", self._root, "env", "-i", "-C", self.folder, *words, *command],
            input=input, capture_output=True, check=False,
        )  # fmt: skip
        assert not done.returncode, (command, done.stdout[-2000:], done.stderr[-3000:])
        return done.stdout

    @contextmanager
    def running(self, volume, log, **environ):
        """Run CMD; gives a function that runs a command beside it, and the process to be ended.

        Args:
            volume: a folder of this machine for /data.
            log: file for what it says.
            environ: as of `docker run --env`.
        """
        os.chown(volume, int(self.owner), -1)
        words = {name: value for name, value in (self.environ | environ).items()}
        script = START.format(
            root=self._root, volume=volume, user=self.user, folder=self.folder,
            environ=shlex.join(f"{name}={value}" for name, value in words.items()),
            command=shlex.join(self.command),
        )  # fmt: skip
        with log.open("wb") as output:
            outer = subprocess.Popen(
                [*self._inside, "unshare", "-mnpf", "--kill-child", "sh", "-c", script],
                stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            yield Running(outer, self, words)
        finally:
            outer.kill()  # and all that is in there with it
            outer.wait()


class Running:
    """A container."""

    def __init__(self, outer, image, environ):
        self._outer, self._image, self._environ = outer, image, environ

    @property
    def first(self):
        """Number, on this machine, of its process 1; None until there is one."""
        assert self._outer.poll() is None, "it has ended"
        found = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text()
        return int(found.split()[0]) if found else None

    def execute(self, command):
        """As `docker exec`: the exit code and what it said."""
        words = [f"{name}={value}" for name, value in self._environ.items()]
        done = subprocess.run(
            ["nsenter", "-t", str(self.first), "-m", "-n", "-p", "-r", "setpriv",
             f"--reuid={self._image.user}", f"--regid={self._image.user}", "--clear-groups",
             "env", "-i", "-C", self._image.folder, *words, *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def is_healthy(self):
        """What HEALTHCHECK finds."""
        return self.first is not None and self.execute(self._image.healthcheck)[0] == 0

    def stop(self, number):
        """Send a signal to process 1, as `docker stop` does; returns the exit code."""
        os.kill(self.first, number)
        return self._outer.wait(15)


@contextmanager
def built(folder, **arguments):
    """Build the image; gives it. `arguments` are those of --build-arg."""
    top, packages = folder / "top", folder / "packages"
    top.mkdir()
    packages.mkdir()
    holder = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", MOUNTS.format(top=top, packages=packages)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout.readline() == "ready\n"
        image = Image(top / "root", ["nsenter", "-t", str(holder.pid), "-m"])
        image.build(arguments)
        yield image
    finally:
        holder.kill()
        holder.wait()
