"""Write simulated readers of the built-in books as a csv pair: python -m app.books.simulate.

The readers are not real: they are invented from the facts about the books, see docs/data-card.md.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hllm.shell import CommandParser, command

DEFAULT_READERS = 24_000
DEFAULT_SEED = 20240919
MOST_READERS = 10_000_000  # of which one machine holds the histories
logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(prog="python -m app.books.simulate", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the two csv files")
    parser.add_argument("--readers", type=int, default=DEFAULT_READERS, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="default %(default)s")
    parser.add_argument("--books", type=Path, help="the facts (JSON lines); default: the built-in")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = _parser()
    options = parser.parse_args(argv)
    if not 1 <= options.readers <= MOST_READERS:
        parser.error(f"--readers must be from 1 to {MOST_READERS}, not {options.readers}")
    if options.seed < 0:
        parser.error(f"--seed must be 0 or more, not {options.seed}")
    from app.books.csv_pair import write_csv_pair  # noqa: PLC0415  this and the next take a second: not for --help
    from app.books.facts import BOOKS_PATH, load_books  # noqa: PLC0415  the same

    books = load_books(options.books or BOOKS_PATH)
    summary = write_csv_pair(books, options.output, num_readers=options.readers, seed=options.seed)
    logger.info("%s: %s", options.output, summary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
