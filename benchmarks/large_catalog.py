r"""Make a large catalogue with an HLLM of TinyLlama's size, to start the app on.

    python benchmarks/large_catalog.py /tmp/large --items 700000
    python benchmarks/bench_start.py --item B000000000 -- \
        --catalog /tmp/large/catalog.db --model /tmp/large/model

The items are those of bench_catalog, the User LLM has TinyLlama-1.1B's shape with random weights,
the item embeddings are random: the time to start and to answer does not depend on them. Needs
about 8 GB of disk.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from tqdm import tqdm

from app.catalog import Catalog
from benchmarks.bench_catalog import build
from benchmarks.shapes import TINYLLAMA, make_folder
from hllm.model_folder import ModelFolder
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import text_hash

BATCH = 10_000


def main() -> None:
    """Command line: see --help."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where to")
    parser.add_argument("--items", type=int, default=700_000, help="%(default)s")
    options = parser.parse_args()
    model, catalog = options.folder / "model", options.folder / "catalog.db"
    options.folder.mkdir(parents=True, exist_ok=True)
    build(catalog, options.items)
    make_folder(model)
    config = ModelFolder(model).config
    texts = Catalog.open(catalog).iter_texts()
    hashes = [
        (item_id, text_hash(config.item_text(fields)))
        for item_id, fields in tqdm(texts, total=options.items, unit=" items")
    ]
    generator = torch.Generator().manual_seed(1)
    vectors = torch.empty(len(hashes), TINYLLAMA.hidden_size, dtype=torch.float16)
    for rows in vectors.split(BATCH):
        rows.copy_(torch.randn(rows.shape, generator=generator))
    item_ids, values = (list(column) for column in zip(*hashes, strict=True))
    embeddings = ItemEmbeddings(item_ids, values, vectors, ModelFolder(model).fingerprint)
    embeddings.save(model / EMBEDDINGS)


if __name__ == "__main__":
    main()
