"""Steps of a longer work, each of them a command that can be given by hand, and shown as such."""

import runpy
import shlex
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: for people and for the record of what is done.
        command: module and arguments, as after ``python -m``.
        makes: files that are there when it is done.
        work: what to run instead of the command, for a step that is not a command.
    """

    name: str
    makes: tuple[Path, ...]
    command: tuple[str, ...] = ()
    work: Callable[[], None] | None = None


def run_step(step: Step) -> int:
    """Run a step; returns its exit code."""
    if step.work is not None:
        step.work()
        return 0
    module, *arguments = step.command
    say(f"$ python -m {shlex.join(step.command)}")
    before = sys.argv
    # In this process, not in a child: killing the work must not leave a training behind.
    sys.argv = [module, *arguments]
    try:
        with warnings.catch_warnings():
            # A step before has imported it as a library.
            warnings.filterwarnings("ignore", message=".*found in sys.modules", module="runpy")
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = before
    return 0


def say(text: str) -> None:
    """Write a line for people, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
