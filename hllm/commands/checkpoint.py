"""The command line of hllm.checkpoint: convert the reference's checkpoints, split, verify."""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hllm.choices import POOLINGS
from hllm.errors import CheckpointError
from hllm.published.sources import PUBLISHED, SourceSettings
from hllm.shell import CommandParser, command
from hllm.text import DEFAULT_PROMPT

_NF4 = "nf4"
_DTYPES = {"keep": None, "bfloat16": "bfloat16", "float32": "float32", _NF4: "bfloat16"}


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.checkpoint",
        description="Checkpoints of the reference implementation, and model folders as files.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    about = "Turn a checkpoint of the reference implementation into a model folder, streaming."
    _add_convert(commands.add_parser("convert", help=about, description=about))
    about = "Copy a model folder with its weights in files of a bounded size."
    split = commands.add_parser("split", help=about, description=about)
    split.add_argument("model", type=Path, help="model folder")
    split.add_argument("output", type=Path, help="model folder to make")
    split.add_argument(
        "--megabytes", type=float, default=9.0, help="largest weight file; default: %(default)s"
    )
    about = "Verify the files of a model folder: all bytes against their checksums."
    verify = commands.add_parser("verify", help=about, description=about)
    verify.add_argument("model", type=Path, help="model folder")
    return parser


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "weights", type=Path,
        help="pytorch_model.bin of the reference, or what its training saved (weights under "
        "'model', names with 'module.')",
    )  # fmt: skip
    parser.add_argument("output", type=Path, help="model folder to make")
    parser.add_argument(
        "--preset", choices=PUBLISHED, help="a published model: text keys, prompt, lengths, source"
    )
    parser.add_argument(
        "--item-base", required=True, type=Path,
        help="folder with config.json and tokenizer of the Item LLM's base model",
    )  # fmt: skip
    parser.add_argument(
        "--user-base", type=Path, help="the same for the User LLM (default: as the Item LLM)"
    )
    parser.add_argument(
        "--dtype", choices=_DTYPES, default="keep",
        help="of the weights written; nf4: matrices of both language models in 4 bits, the others "
        "in bfloat16",
    )  # fmt: skip
    parser.add_argument(
        "--shard-gb", type=float, default=2.0, help="largest weight file; default: %(default)s"
    )
    own = parser.add_argument_group("a model of your own (or changes to a preset)")
    own.add_argument("--text-keys", nargs="+", metavar="KEY", help="text_keys it was trained with")
    own.add_argument("--item-prompt", help=f"default: {DEFAULT_PROMPT!r}")
    own.add_argument("--max-text-tokens", type=int, help="MAX_TEXT_LENGTH; default 256")
    own.add_argument("--max-history", type=int, help="MAX_ITEM_LIST_LENGTH_TEST; default 50")
    own.add_argument("--item-pooling", choices=POOLINGS, help="mean where item_emb_token_n is 0")


def _settings(parser: CommandParser, options: argparse.Namespace) -> SourceSettings:
    """What the model reads, as the options say."""
    names = ("text_keys", "item_prompt", "max_text_tokens", "max_history", "item_pooling")
    given = {n: getattr(options, n) for n in names if getattr(options, n) is not None}
    if "text_keys" in given:
        given["text_keys"] = tuple(given["text_keys"])
    if options.preset:
        return replace(PUBLISHED[options.preset], **given)
    if "text_keys" not in given:
        parser.error("say what the model reads: --preset NAME or --text-keys KEY ...")
    return SourceSettings(**given)


def _split(parser: CommandParser, options: argparse.Namespace) -> int:
    if not (math.isfinite(options.megabytes) and options.megabytes > 0):
        parser.error(f"--megabytes {options.megabytes}: must be more than 0")
    from hllm.checkpoint import copy_in_shards  # noqa: PLC0415  takes seconds: not for --help

    copy_in_shards(options.model, options.output, int(options.megabytes * 1e6))
    return 0


def _verify(folder: Path) -> int:
    from hllm.verify import verify_folder  # noqa: PLC0415  takes seconds: not for --help

    findings = list(verify_folder(folder))
    for finding in findings:
        if not finding.problem:
            note = f" (tensors without a checksum: {finding.unproven})" if finding.unproven else ""
            sys.stdout.write(f"{finding.path}: whole{note}\n")
    problems = [finding.problem for finding in findings if finding.problem]
    if problems:
        raise CheckpointError("\n".join(problems))
    return 0


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "split":
        return _split(parser, options)
    if options.command == "verify":
        return _verify(options.model)
    settings = _settings(parser, options)
    if not (math.isfinite(options.shard_gb) and options.shard_gb > 0):
        parser.error(f"--shard-gb {options.shard_gb}: must be more than 0")
    import torch  # noqa: PLC0415  this and what follows take seconds: not for --help

    from hllm.published.convert import convert  # noqa: PLC0415  the same

    dtype = _DTYPES[options.dtype]
    convert(
        options.weights,
        options.output,
        settings,
        item_base=options.item_base,
        user_base=options.user_base,
        dtype=getattr(torch, dtype) if dtype else None,
        nf4=options.dtype == _NF4,
        shard_bytes=int(options.shard_gb * 1e9),
    )
    return 0
