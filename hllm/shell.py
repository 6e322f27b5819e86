"""What every command does alike: one sentence and exit code 2 for an error, and quiet libraries.

Imports no model library. What a person can mend is a sentence; anything else is a fault of the
program and keeps its traceback.
"""

import argparse
import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from functools import wraps
from importlib import import_module
from typing import Any, NoReturn, Protocol, TextIO

from hllm.errors import HLLMError, did_you_mean, either, nearest

USER_ERROR = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count

logger = logging.getLogger(__name__)
# Libraries that report every file they open or save.
_TALKATIVE = (
    "accelerate",
    "bitsandbytes",
    "faiss",  # which looks for variants of itself as it is imported, and names those it lacks
    "httpx",
    "sentence_transformers",
    "transformers",
)


class Main(Protocol):
    """A command: reads the arguments (None: those of the process), works, returns the exit code."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run it."""
        ...


def run_command(name: str) -> NoReturn:
    """Hand over to the command line of a module of hllm that is run as a program.

    By name, as the console scripts of the installed package do: the command imports the module, so
    that the module must not import the command.

    Args:
        name: of the module in hllm.commands.
    """
    sys.exit(import_module(f"hllm.commands.{name}").main())


class CommandParser(argparse.ArgumentParser):
    """argparse's parser with errors of one line: the usage of hllm.train alone has sixty.

    They say what a misspelt option, subcommand or choice may have meant, which argparse does not
    before Python 3.14.
    """

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; remembers what was given."""
        self._given = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End the command with exit code 2."""
        said = " ".join(message.split()).removesuffix(".") + self._meant_options()
        self.exit(USER_ERROR, f"{self.prog}: error: {said}; see --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += did_you_mean(str(value), map(str, action.choices or ()))
            raise

    def _meant_options(self) -> str:
        """What the first misspelt option may have meant: the error may be that another lacks."""
        known = list(self._known_options(self._given))
        for word in self._given:
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                names = either(nearest(name, known))
                return f" (did you mean {names}, not {name}?)" if names else ""
        return ""

    def _known_options(self, given: Sequence[str]) -> Iterator[str]:
        """Options of this command, and of those of its subcommands that are given."""
        # argparse has no public list of its options.
        for action in self._actions:
            yield from action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                for name in action.choices.keys() & set(given):
                    yield from action.choices[name]._known_options(given)


def command(main: Main) -> Main:
    """Make a main function that ends as every command does.

    Args:
        main: the command itself.

    Returns:
        The same with exit code 2 and one sentence for what a person can mend, 130 for Ctrl-C.
    """

    @wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        set_up_output()
        try:
            return main(argv)
        except (Exception, KeyboardInterrupt) as error:
            code = exit_code(error)
            if code is None:
                raise
            return code

    return run


def exit_code(error: BaseException) -> int | None:
    """Say an error in one sentence; None, and not a word, if it is a fault of the program."""
    if isinstance(error, KeyboardInterrupt):
        logger.error("Interrupted. What is done is kept; the same command goes on from there.")
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):  # whoever read our output, `head` for one, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    sentence = sentence_of(error)
    if sentence is None:
        return None
    logger.error("error: %s", sentence)
    return USER_ERROR


def sentence_of(error: BaseException) -> str | None:
    """What a person can do about an error; None if it is a fault of the program."""
    if isinstance(error, HLLMError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        name = f"{error.filename} cannot be written, the" if error.filename else "The"
        return f"{name} disk is full: free some space, then do the same again."
    if isinstance(error, OSError) and error.filename is not None:
        names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name)
        return (
            f"{names} cannot be read or written ({error.strerror}): check the path and its rights."
        )
    if isinstance(error, MemoryError) or _is_out_of_memory(error):
        reason = str(error).split("\n", 1)[0] or "no reason given"
        return f"There is not enough memory ({reason}): give smaller sizes or batches."
    return None


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate: on a GPU it has a class for that, on a CPU only words."""
    return type(error).__name__ == "OutOfMemoryError" or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


class _StandardError(logging.StreamHandler):
    """Writes to what sys.stderr is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # the parent's would set a stream

    @property
    def stream(self) -> TextIO:
        return sys.stderr


_HANDLER = _StandardError()


def set_up_output() -> None:
    """Send messages to standard error as they are, and nothing that libraries say of themselves.

    Of several processes of one training, which a launcher numbers, only the first tells how it
    goes; all of them warn.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files and columns may hold anything
            stream.reconfigure(errors="backslashreplace")
    root = logging.getLogger()
    if _HANDLER not in root.handlers:
        root.addHandler(_HANDLER)
    root.setLevel(logging.INFO if os.environ.get("RANK", "0") == "0" else logging.WARNING)
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep what libraries say about themselves from looking like a fault of ours.

    bitsandbytes warns on every CPU with AVX512-BF16, when it is imported, that it found no kernel
    to download, and does without it. Nothing else of that logger is kept back. transformers 5.24
    warns of the one name of an argument that 5.20 to 5.39 have in common.
    """
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("bitsandbytes.backends.cpu.ops").addFilter(_is_no_kernel_offer)
    warnings.filterwarnings("ignore", "`past_key_values` is deprecated", FutureWarning)


def _is_no_kernel_offer(record: logging.LogRecord) -> bool:
    return "gemm_4bit_forward" not in str(record.msg)
