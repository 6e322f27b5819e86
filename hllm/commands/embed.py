"""The command line of hllm.embed."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hllm.errors import DataError, StaleEmbeddingsError
from hllm.shell import CommandParser, command
from hllm.tables import CsvFormat, add_csv_options

if TYPE_CHECKING:
    from hllm.store import ItemEmbeddings

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
    parser.add_argument(
        "--items",
        required=True,
        help="items.csv or items.csv.gz; of --engine ray: a Parquet file, or a folder of them, "
        "here or in an object store (s3://...)",
    )
    add_csv_options(parser)
    parser.add_argument(
        "--output",
        help="default: embeddings.safetensors in the model folder; of --engine ray: a folder for "
        "Parquet files, here or in an object store",
    )
    parser.add_argument("--fp32", action="store_true", help="store float32 instead of float16")
    parser.add_argument(
        "--engine",
        choices=("plain", "ray"),
        default="plain",
        help="plain (this process), or ray (a cluster; requirements-scale.txt)",
    )
    parser.add_argument(
        "--ray-address",
        default="",
        metavar="HOST:PORT",
        help="of a Ray cluster, or auto; default: Ray is started on this machine alone",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="of --engine ray: at once; default: as many as the cluster has GPUs, else CPUs",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Refuse options that would be overlooked."""
    if options.engine == "plain" and (options.ray_address or options.workers):
        raise DataError("--ray-address and --workers are options of --engine ray: give it, too.")
    if options.engine == "ray" and not options.output:
        raise DataError("--engine ray: give a folder for its Parquet files as --output.")
    if options.workers < 0:
        raise DataError(f"--workers {options.workers}: give a number from 1 on.")
    if options.engine == "ray" and not options.items.rstrip("/").endswith((".csv", ".gz")):
        return
    if options.engine == "ray":
        raise DataError(
            f"{options.items}: --engine ray reads Parquet, no csv: see docs/cluster.md."
        )


def _embed_on_cluster(options: argparse.Namespace) -> int:
    from hllm.cluster.embed_parquet import embed_parquet  # noqa: PLC0415  torch: not for --help

    counts = embed_parquet(
        options.model,
        options.items,
        options.output,
        half=not options.fp32,
        address=options.ray_address,
        workers=options.workers,
    )
    logger.info(
        "%s: %d items in %d files, %d of them made now",
        options.output, counts.items, counts.blocks, counts.made_blocks,
    )  # fmt: skip
    return 0


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    _check(options)
    if options.engine == "ray":
        return _embed_on_cluster(options)
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
    output = Path(options.output or options.model / EMBEDDINGS)
    device = torch.device("cuda") if torch.cuda.is_available() else CPU
    result = embed_items(folder, texts, output, device=device, half=not options.fp32)
    count, width = result.vectors.shape
    size = output.stat().st_size / 1e6
    logger.info("%s: %d items, %d dimensions, %.1f MB", output, count, width, size)
    if not options.output:
        _warn_of_older_files(options.model, result)
    return 0


def _warn_of_older_files(model: Path, embeddings: "ItemEmbeddings") -> None:
    """Say which files beside the embeddings were made for others, and how to make them again."""
    from hllm.serving.blend import blend_beside  # noqa: PLC0415  torch: not for --help
    from hllm.serving.projection import load_projection  # noqa: PLC0415  the same
    from hllm.store import PROJECTION  # noqa: PLC0415  the same

    try:
        blend_beside(model, embeddings)
    except StaleEmbeddingsError as error:
        logger.warning("%s", error)
    try:
        if (model / PROJECTION).exists():
            load_projection(model / PROJECTION, embeddings)
    except StaleEmbeddingsError as error:
        logger.warning("%s", error)
