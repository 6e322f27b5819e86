"""The tree of known prefixes: what it forgets, what it shares, what it counts."""

import random
from concurrent.futures import ThreadPoolExecutor

import torch

from hllm.serving.prefix_tree import NODE_BYTES, PrefixTree


def values(*numbers):
    return torch.tensor(numbers, dtype=torch.float32).reshape(-1, 1)


def test_tree_forgets_the_least_recently_used_leaf():
    tree = PrefixTree(5 * (NODE_BYTES + 4))
    tree.add([1, 2, 3], values(1, 2, 3))
    tree.add([1, 2, 4], values(4))
    tree.add([5], values(5))
    tree.find([1, 2, 3])
    tree.add([6], values(6))  # instead of 1, 2, 4
    assert [len(tree.find(rows)) for rows in ([1, 2, 3], [1, 2, 4], [5], [6])] == [3, 2, 1, 1]
    assert (len(tree), tree.num_bytes, tree.evicted) == (5, tree.max_bytes, 1)


def test_tree_holds_no_more_memory_than_it_counts():
    tree = PrefixTree(10**6)
    block = torch.randn(100, 8)
    tree.add(range(100), block)
    block.zero_()
    found = tree.find(range(100))
    assert all(row.untyped_storage().nbytes() == 32 and row.any() for row in found)
    assert tree.num_bytes == 100 * (32 + NODE_BYTES)


def test_tree_takes_nothing_whose_beginning_is_unknown():
    tree = PrefixTree(10**6)
    tree.add([1, 2, 3], values(3))
    assert len(tree) == 0
    tree.add([1], values(1))
    tree.add([1, 2], values(1, 2))  # the known part stays
    assert [row.item() for row in tree.find([1, 2])] == [1, 2]


def test_who_shares_a_beginning_shares_its_nodes():
    tree = PrefixTree(10**6)
    tree.add([1, 2, 3], values(1, 2, 3))
    tree.add([1, 2, 4], values(4))
    tree.add([1, 2, 3], values(9))  # is known: stays as it was
    assert len(tree) == 4
    assert [row.item() for row in tree.find([1, 2, 3, 7])] == [1, 2, 3]
    assert tree.find([]) == [] == tree.find([2])


def test_nothing_is_kept_where_there_is_no_room():
    tree = PrefixTree(0)
    tree.add([1], values(1))
    assert (len(tree), tree.num_bytes, tree.find([1])) == (0, 0, [])


def test_the_beginning_of_a_prefix_is_never_forgotten_before_its_end():
    tree = PrefixTree(3 * (NODE_BYTES + 4))
    tree.add(range(5), values(*range(5)))
    assert [row.item() for row in tree.find(range(5))] == [0, 1, 2]


def test_threads_leave_the_count_right():
    tree = PrefixTree(20 * (NODE_BYTES + 4))

    def use(seed):
        choose = random.Random(seed)
        for _ in range(300):
            rows = [choose.randrange(4) for _ in range(choose.randint(1, 5))]
            known = len(tree.find(rows))
            assert known <= len(rows)
            tree.add(rows, values(*rows))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(use, seed) for seed in range(4)]:
            done.result(30)
    assert tree.num_bytes == len(tree) * (NODE_BYTES + 4) <= tree.max_bytes
    assert tree.evicted > 0
