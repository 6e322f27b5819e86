"""The path from a history to recommendations that every recommender shares."""

import numpy as np
import pytest
import torch

from hllm.serving.history_encoder import Reading
from hllm.serving.index import ItemIndex
from hllm.serving.new_items import NewItem
from hllm.serving.ranker import recommend_rows

IDS = [f"i{number}" for number in range(12)]


@pytest.fixture
def index():
    return ItemIndex(IDS, torch.randn(12, 8, generator=torch.Generator().manual_seed(1)))


def reader(index, seen):
    def read(rows):
        seen.append(rows)
        return Reading(index.vectors[rows].sum(0), 1, len(rows) - 1)

    return read


def test_what_was_read_is_searched_and_told(index):
    seen = []
    found = recommend_rows(index, reader(index, seen), [3, 1, 7], 4)
    assert seen == [[3, 1, 7]]
    assert (found.num_read, found.num_known, found.num_candidates) == (1, 2, 12)
    expected = index.search(index.vectors[[3, 1, 7]].sum(0), 4, [3, 1, 7])
    assert [(IDS.index(i.item_id), i.score) for i in found.items] == expected
    assert [item.rank for item in found.items] == [1, 2, 3, 4]
    assert found.encode_ms > 0 and found.search_ms > 0


def test_only_allowed_rows_are_found_by_a_search_of_ones_own(index):
    asked = []

    def search(user, top_k, rows, allowed):
        asked.append((top_k, rows, allowed.tolist()))
        return [(5, 0.5)]

    allowed = np.array([4, 5])
    found = recommend_rows(index, reader(index, []), [0], 3, allowed, search)
    assert asked == [(3, [0], [4, 5])]
    assert [item.item_id for item in found.items] == ["i5"] and found.num_candidates == 2


def test_a_new_item_is_read_and_excludes_nothing(index):
    new, asked = NewItem("n", torch.ones(8), 1.0), []

    def search(user, top_k, rows, allowed):
        asked.append(rows)
        return []

    def read(keys):
        assert keys == [2, new]
        return Reading(torch.ones(8), 2, 0)

    recommend_rows(index, read, [2, new], 3, None, search)
    assert asked == [[2]]


def test_nothing_to_read_is_refused(index):
    with pytest.raises(ValueError, match="empty"):
        recommend_rows(index, reader(index, []), [], 3)
