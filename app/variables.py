"""Environment variables in the place of options: HLLM_PORT for --port, and those of Gradio."""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

from hllm.choices import CACHE_VARIABLE
from hllm.errors import either, nearest
from hllm.shell import CommandParser

MAX_PORT = 65535
# Variables that Gradio turns into numbers as it is imported, and the largest that makes sense.
_NUMBERS_OF_GRADIO = {
    "GRADIO_SERVER_PORT": MAX_PORT,
    "GRADIO_NUM_PORTS": MAX_PORT,
    "GRADIO_NODE_NUM_PORTS": MAX_PORT,
}
_PREFIX = "HLLM_"

logger = logging.getLogger(__name__)


class VariableParser(CommandParser):
    """Errors name the variable that a wrong value comes from, where nobody typed the option."""

    environ: Mapping[str, str]

    def error(self, message: str) -> NoReturn:
        """As CommandParser.error."""
        typed = {word.partition("=")[0] for word in self._given}
        for option in set(self._known_options([])) - typed:
            variable = variable_of(option)
            if self.environ.get(variable):
                message = re.sub(rf"(?:argument )?{option}(?![\w-])", variable, message)
        super().error(message)


def variable_of(option: str) -> str:
    """The variable of an option: HLLM_DATA_DIR of --data-dir."""
    return _PREFIX + option.lstrip("-").upper().replace("-", "_")


def check_numbers_of_gradio(parser: CommandParser, environ: Mapping[str, str]) -> None:
    """End with one sentence where `import gradio` would end with a traceback."""
    for name, most in _NUMBERS_OF_GRADIO.items():
        text = environ.get(name, "1").strip()
        if not (text.isdecimal() and len(text) <= len(str(most)) and 0 < int(text) <= most):
            parser.error(
                f"the variable {name} is {text[:20]!r}, not a number from 1 to {most:,}: unset it "
                "or give it one."
            )


def warn_of_unread(environ: Mapping[str, str], options: Iterable[str]) -> None:
    """Name variables that look like options and are none.

    A warning, not an error: unlike a command line an environment is shared with other programs.
    """
    known = {variable_of(option) for option in options} | {CACHE_VARIABLE}
    for name in sorted(environ):
        if name.startswith(_PREFIX) and name not in known:
            # Without what all of them begin with: it would make any two alike.
            own = (variable.removeprefix(_PREFIX) for variable in known)
            near = [_PREFIX + one for one in nearest(name.removeprefix(_PREFIX), own)]
            meant = f": did you mean {either(near)}?" if near else "."
            logger.warning("%s is ignored, as no option has this variable%s", name, meant)
