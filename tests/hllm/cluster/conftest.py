import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hllm.cluster.ray_session import LOOPBACK, PATIENT

os.environ.update(LOOPBACK | PATIENT)  # before any test imports Ray, which reads it once

NUM_ITEMS = 90


@pytest.fixture
def items(tmp_path):
    """A folder of two files with several row groups, and one that readers leave out."""
    folder = tmp_path / "items"
    folder.mkdir()
    ids = [f"i{n}" for n in range(NUM_ITEMS)]
    titles = [f"{'word ' * (n % 7)}{n}" if n % 11 else None for n in range(NUM_ITEMS)]
    table = pa.table({"item_id": ids, "unread": [1.5] * NUM_ITEMS, "title": titles})
    pq.write_table(table[:50], folder / "a.parquet", row_group_size=17)
    pq.write_table(table[50:], folder / "b.parquet", row_group_size=9)
    (folder / "_notes.parquet").write_text("none of ours")
    return folder


@pytest.fixture
def texts(tiny_model):
    """The same items as the plain engine reads them."""
    return [
        (
            f"i{n}",
            tiny_model.config.item_text({"title": f"{'word ' * (n % 7)}{n}"} if n % 11 else {}),
        )
        for n in range(NUM_ITEMS)
    ]
