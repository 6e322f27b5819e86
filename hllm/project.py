"""A map of the items, stored with the model: 2-D places of the item embeddings, for the page.

    python -m hllm.project --model runs/games
    python -m hllm.project --model runs/games --method pca

UMAP (umap-learn, requirements-umap.txt) keeps neighbours together and takes minutes for 100,000
items; PCA, which the page computes by itself where nothing is stored, takes a second. The places
belong to these embeddings: when they are made anew, run it again.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hllm.errors import DataError
from hllm.shell import CommandParser, command

if TYPE_CHECKING:
    from torch import Tensor

    from hllm.serving.projection import Projection

MIN_ITEMS = 10  # UMAP looks for neighbours
_SEED = 0

logger = logging.getLogger(__name__)


def fit_umap(vectors: "Tensor") -> "Projection":
    """Places by UMAP, with cosine distances, the same at every run.

    Args:
        vectors: (N, D) of any float dtype.

    Raises:
        DataError: umap-learn is not installed, or there are too few items.
    """
    if len(vectors) < MIN_ITEMS:
        raise DataError(f"UMAP needs {MIN_ITEMS} items and there are {len(vectors)}: --method pca")
    try:
        import umap  # noqa: PLC0415  optional, and slow to import
    except ImportError as error:
        raise DataError(
            "UMAP is not installed: pip install -r requirements-umap.txt -c constraints.txt, or "
            "take --method pca"
        ) from error
    import torch  # noqa: PLC0415  takes seconds: not for --help

    from hllm.serving.projection import UMAP, fitted  # noqa: PLC0415  the same

    model = umap.UMAP(
        metric="cosine",
        n_neighbors=min(15, len(vectors) - 1),
        min_dist=0.5,  # looser than its default: points that lie on each other cannot be clicked
        random_state=_SEED,
        n_jobs=1,  # all that a seed allows; it would warn if this were not said
        verbose=True,
    )
    return fitted(UMAP, torch.from_numpy(model.fit_transform(vectors.float().cpu().numpy())))


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m hllm.project",
        description="Store a map of a model's item embeddings: where the page draws each item.",
    )
    parser.add_argument("--model", required=True, type=Path, help="a model folder")
    parser.add_argument(
        "--embeddings",
        type=Path,
        help="of the catalogue, where they are not in the model folder; the map is stored beside",
    )
    parser.add_argument(
        "--method",
        choices=("umap", "pca"),
        default="umap",
        help="umap keeps neighbours together, pca is fast; default: umap",
    )
    return parser


@command
def main(argv: Sequence[str] | None = None) -> int:
    """Command line: see --help."""
    options = _parser().parse_args(argv)
    from hllm.serving.projection import fit_pca, save_projection  # noqa: PLC0415  not for --help
    from hllm.store import EMBEDDINGS, PROJECTION, ItemEmbeddings  # noqa: PLC0415  the same

    path = options.embeddings or options.model / EMBEDDINGS
    embeddings = ItemEmbeddings.load(path)
    fit = fit_umap if options.method == "umap" else fit_pca
    projection = fit(embeddings.vectors)
    output = path.with_name(PROJECTION)
    save_projection(projection, embeddings, output)
    logger.info("%s: %d items, %s", output, len(embeddings.item_ids), projection.method)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
