"""Command-line options from the fields of dataclasses, one group of --help a class.

As transformers' HfArgumentParser makes them (``--user_size 256``, ``--user-size 256``, ``--shard``,
``--shard no``, ``--no_data_split``), without the seconds that importing it takes.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin, get_type_hints

_YES, _NO = ("yes", "true", "t", "y", "1"), ("no", "false", "f", "n", "0")


def add_dataclass(
    parser: argparse.ArgumentParser, kind: type, opposites: Mapping[str, str]
) -> None:
    """Add a group with an option for every field of a dataclass.

    Args:
        parser: to add to.
        kind: its fields are texts, numbers, paths, lists of texts or truth values; each has the
            key "help" in its metadata. Its ``_argument_group_name`` is the group's title.
        opposites: help of the flag --no_NAME of every field that is true by default.
    """
    group = parser.add_argument_group(kind._argument_group_name)  # type: ignore[attr-defined]
    types = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        options: dict[str, Any] = {"help": field.metadata["help"], "type": types[field.name]}
        if field.default is not dataclasses.MISSING:
            options["default"] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            options["default"] = field.default_factory()
        else:
            options["required"] = True
        if get_origin(options["type"]) is list:
            options |= {"type": get_args(options["type"])[0], "nargs": "+"}
        elif options["type"] is bool:
            options |= {"type": truth, "nargs": "?", "const": True, "metavar": "yes|no"}
        group.add_argument(*_flags(field.name), **options)
        if field.default is True:
            group.add_argument(
                *_flags(f"no_{field.name}"),
                action="store_false",
                dest=field.name,
                default=argparse.SUPPRESS,  # the option itself has one
                help=opposites[field.name],
            )


def _flags(name: str) -> Sequence[str]:
    return list(dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}")))


def truth(text: str) -> bool:
    """Read a truth value.

    Raises:
        argparse.ArgumentTypeError: it is neither yes nor no.
    """
    if text.lower() not in _YES + _NO:
        raise argparse.ArgumentTypeError(f"{text!r} is neither yes nor no")
    return text.lower() in _YES
