"""The command line of hllm.recommend: histories in, the best items of every user out."""

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hllm.choices import INDEXES
from hllm.errors import DataError
from hllm.serving.precision import PRECISIONS
from hllm.shell import CommandParser, command
from hllm.tables import CsvFormat, add_csv_options

logger = logging.getLogger(__name__)
_STDIO = Path("-")


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.recommend",
        description="Recommend for every user of a file, of any size: the output has the columns "
        "user_id, rank, item_id and score (the cosine, -1 to 1), never an item of the user's own "
        "history. A stopped run goes on when the same command is given again.",
        epilog="Example: python -m hllm.recommend --model runs/games "
        "--histories data/games/interactions.csv --output top.csv",
    )
    add = parser.add_argument
    add("--model", required=True, type=Path, metavar="FOLDER", help="a trained or converted HLLM")
    add("--histories", required=True, type=Path, metavar="FILE",
        help="csv[.gz] with a row an interaction: user_id,item_id,timestamp in any order; without "
        "timestamp the rows of a user count as oldest first; - reads standard input")  # fmt: skip
    add("--output", required=True, type=Path, metavar="FILE",
        help="csv[.gz] to write; - writes to standard output, and cannot be continued")  # fmt: skip
    add("--top-k", type=int, default=10, metavar="K", help="items a user; default: %(default)s")
    add("--embeddings", type=Path, metavar="FILE",
        help="of the items to choose from; default: those of the model")  # fmt: skip
    add("--precision", choices=PRECISIONS, default="auto",
        help="of the User LLM; default: chosen for model and machine")  # fmt: skip
    add("--index", choices=INDEXES, default="auto",
        help="what finds the nearest items; auto: exact search, or FAISS in memory for a large "
        "catalogue; lancedb: a database on the disk, for more items than memory holds "
        "(requirements-scale.txt); default: %(default)s")  # fmt: skip
    add_csv_options(parser)
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not 1 <= options.top_k <= 1_000_000:
        parser.error(f"--top-k {options.top_k}: must be from 1 to 1000000")
    return _run(options, CsvFormat.parse(options.delimiter, options.quote, options.encoding))


def _run(options: argparse.Namespace, form: CsvFormat) -> int:
    from hllm.bulk import check_replaceable, recommend_csv, recommend_file  # noqa: PLC0415  torch takes seconds: not for --help
    from hllm.histories import Histories  # noqa: PLC0415  the same
    from hllm.model_folder import ModelFolder  # noqa: PLC0415  the same
    from hllm.recommend import Recommender  # noqa: PLC0415  the same
    from hllm.store import EMBEDDINGS  # noqa: PLC0415  the same

    if options.output.is_dir():
        raise DataError(f"{options.output} is a folder: give the name of a csv file to write.")
    if options.output != _STDIO:
        check_replaceable(options.output)
    source = Path("/dev/stdin") if options.histories == _STDIO else options.histories
    embeddings = options.embeddings or options.model / EMBEDDINGS
    recommender = Recommender.from_pretrained(
        options.model, embeddings, options.precision, options.index
    )
    with Histories(source, form) as histories:
        if options.output == _STDIO:
            counts = recommend_csv(recommender, histories, sys.stdout, top_k=options.top_k)
        else:
            made_from = _fingerprint([*ModelFolder(options.model).files, embeddings])
            counts = recommend_file(
                recommender, histories, options.output, top_k=options.top_k,
                made_from=f"{made_from} {recommender.precision} {options.index}",
            )  # fmt: skip
    if counts.unknown_items:
        logger.warning("%d items of histories have no embedding and were left out; %d users have "
                       "no other items and got no rows",
                       counts.unknown_items, counts.users_left_out)  # fmt: skip
    logger.info("%s: %d users", options.output, counts.users - counts.users_left_out)
    return 0


def _fingerprint(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
