"""The command line of hllm.exchange."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hllm.shell import CommandParser, command

logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.exchange",
        description="Turn item embeddings into Parquet and back. A file that comes back is checked "
        "against model and catalogue when it is used.",
    )
    parser.add_argument("direction", choices=("export", "import"))
    parser.add_argument(
        "source",
        help="export: .safetensors; import: .parquet, or the folder that hllm.embed --engine ray "
        "has made, here or in an object store",
    )
    parser.add_argument(
        "output", type=Path, help="the file to write; one that is there is replaced"
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    from hllm.embedder import load_replaceable  # noqa: PLC0415  torch takes seconds: not for --help
    from hllm.exchange import check_replaceable, export_parquet, import_parquet  # noqa: PLC0415  the same
    from hllm.store import ItemEmbeddings  # noqa: PLC0415  the same

    if options.direction == "export":
        check_replaceable(options.output)
        embeddings = ItemEmbeddings.load(options.source)
        export_parquet(embeddings, options.output)
    else:
        embeddings = import_parquet(options.source)
        load_replaceable(options.output, embeddings.fingerprint)
        embeddings.save(options.output)
    count, width = embeddings.vectors.shape
    size = options.output.stat().st_size / 1e6
    logger.info("%s: %d items, %d dimensions, %.1f MB", options.output, count, width, size)
    return 0
