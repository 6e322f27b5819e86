"""The command line of hllm.sentence."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hllm.shell import CommandParser, command
from hllm.tables import CsvFormat, add_csv_options
from hllm.text import DEFAULT_KEYS
from hllm.weights.packaged import MINILM

logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.sentence",
        description=f"Embed every item of a catalogue with {MINILM} for the app's baseline column. "
        "Run it again after the catalogue has changed: only new and changed texts are encoded. A "
        "killed run continues where it stopped.",
    )
    parser.add_argument("--items", required=True, type=Path, help="items.csv or items.csv.gz")
    parser.add_argument(
        "--model", type=Path, help="the HLLM's folder: the baseline reads the same columns as it"
    )
    parser.add_argument(
        "--text-keys",
        metavar="LIST",
        help="other columns, comma-separated, in order; default: the model's, or without a model "
        f"those there are of {','.join(DEFAULT_KEYS)}",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="a .safetensors file; default: baseline.safetensors in the model folder",
    )
    add_csv_options(parser)
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.output is None and options.model is None:
        parser.error("give --model FOLDER, or --output FILE")
    form = CsvFormat.parse(options.delimiter, options.quote, options.encoding)
    from hllm.data import read_items  # noqa: PLC0415  this and what follows take seconds: not for --help
    from hllm.sentence import baseline_keys, embed_sentences  # noqa: PLC0415  the same
    from hllm.store import BASELINE  # noqa: PLC0415  the same

    output = options.output or options.model / BASELINE
    items = read_items(options.items, form=form)
    keys = baseline_keys(
        list(items.values()), options.text_keys, options.model, source=options.items
    )
    result = embed_sentences(list(items.items()), keys, output)
    logger.info("%s: %d items, reads %s", output, len(result.item_ids), ", ".join(keys))
    return 0
