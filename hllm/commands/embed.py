"""The command line of hllm.embed."""

import logging
from collections.abc import Sequence
from pathlib import Path

from hllm.shell import CommandParser, command
from hllm.tables import CsvFormat, add_csv_options

logger = logging.getLogger(__name__)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.embed",
        description="Embed every item of a catalogue with a trained model's Item LLM. Run it again "
        "after the catalogue has changed: only new and changed texts are encoded. A killed run "
        "continues where it stopped. What the Item LLM made of a text is kept in a cache that all "
        "runs share: the folder that HLLM_CACHE names, or hllm-live in your cache folder.",
    )
    parser.add_argument(
        "--model", required=True, type=Path, help="model folder (python -m hllm.train)"
    )
    parser.add_argument("--items", required=True, type=Path, help="items.csv or items.csv.gz")
    add_csv_options(parser)
    parser.add_argument(
        "--output", type=Path, help="default: embeddings.safetensors in the model folder"
    )
    parser.add_argument("--fp32", action="store_true", help="store float32 instead of float16")
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    form = CsvFormat.parse(options.delimiter, options.quote, options.encoding)
    import torch  # noqa: PLC0415  this and what follows take seconds: not for --help

    from hllm.data import read_items  # noqa: PLC0415  the same
    from hllm.embed import CPU, embed_items  # noqa: PLC0415  the same
    from hllm.model_folder import ModelFolder  # noqa: PLC0415  the same
    from hllm.store import EMBEDDINGS  # noqa: PLC0415  the same
    from hllm.text import check_text_keys  # noqa: PLC0415  the same

    folder = ModelFolder(options.model)
    config = folder.config
    items = read_items(options.items, form=form)
    check_text_keys(items.values(), config.text_keys, source=options.items, every=False)
    texts = [(item_id, config.item_text(fields)) for item_id, fields in items.items()]
    output = options.output or options.model / EMBEDDINGS
    device = torch.device("cuda") if torch.cuda.is_available() else CPU
    result = embed_items(folder, texts, output, device=device, half=not options.fp32)
    count, width = result.vectors.shape
    size = output.stat().st_size / 1e6
    logger.info("%s: %d items, %d dimensions, %.1f MB", output, count, width, size)
    return 0
