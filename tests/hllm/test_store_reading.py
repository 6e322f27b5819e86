"""Of memory-mapped embeddings, the rows that are wanted are read, and not much besides."""

import ctypes
import mmap
import os

import numpy as np
import pytest
import torch

from hllm.store import ItemEmbeddings, rows_of_file

COUNT, WIDTH = 4_000, 1_024  # two rows a page


def in_memory(vectors):
    """For each page of the vectors, whether it is in memory."""
    first = vectors.data_ptr() // mmap.PAGESIZE
    pages = (vectors.data_ptr() + vectors.nbytes - 1) // mmap.PAGESIZE + 1 - first
    found = (ctypes.c_ubyte * pages)()
    address, length = ctypes.c_void_p(first * mmap.PAGESIZE), ctypes.c_size_t(pages * mmap.PAGESIZE)
    assert ctypes.CDLL(None).mincore(address, length, found) == 0
    return np.frombuffer(found, np.uint8) & 1 == 1


def pages_of(vectors, rows):
    """The first and the last page of each row."""
    ends = vectors.data_ptr() + np.stack([rows, rows + 1]) * WIDTH * 2 - [[0], [1]]
    return np.unique(ends // mmap.PAGESIZE - vectors.data_ptr() // mmap.PAGESIZE)


@pytest.fixture
def vectors(tmp_path):
    """Memory-mapped, on a disk that has not been read."""
    path = tmp_path / "embeddings.safetensors"
    made = torch.rand(COUNT, WIDTH, generator=torch.Generator().manual_seed(1)).half()
    ids = [str(row) for row in range(COUNT)]
    ItemEmbeddings(ids, ["0" * 16] * COUNT, made, "0" * 16).save(path)
    found = ItemEmbeddings.load(path, verify=False).vectors
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if in_memory(found).mean() > 0.1:
        pytest.skip("this file system keeps its files in memory")
    return found


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="needs posix_fadvise")
def test_pages_of_the_rows_are_read_alone(vectors):
    rows = np.array([1_000, 3, 4, 5, 6, 2_001, COUNT - 1])
    read = rows_of_file(vectors, rows)
    pages = in_memory(vectors)
    assert pages[pages_of(vectors, rows)].all() and pages.mean() < 0.1
    assert torch.equal(read, vectors[torch.from_numpy(rows)])


@pytest.mark.parametrize("rows", [[], [2], [2, 0, 2], np.array([1, 2], dtype=np.int32)])
def test_rows_of_no_file(rows):
    made = torch.rand(3, 5)
    found = rows_of_file(made, rows)
    assert found.shape == (len(rows), 5) and torch.equal(found, made[list(rows)])
    found.zero_()
    assert made.all()
