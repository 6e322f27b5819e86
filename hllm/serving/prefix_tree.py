"""What is known of the beginnings of histories: a tree of items, bounded in bytes.

Histories with the same beginning share its nodes. There is one node per item instead of one block
per history, so that a branch costs only what it adds, and the bytes counted are the bytes held.

S new items, W numbers that are kept of each.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor

from hllm.serving.new_items import Key, NewItem

CACHE_BYTES = 128 * 2**20
# What a node takes beside its numbers: object, dictionary of children, tensor, place in the order.
# Measured on 40,000 nodes: 2.0 KB of resident memory each.
NODE_BYTES = 2048


class _Node:
    """The last item of a prefix, with its keys, values and state.

    Its values never change: histories that part later share it, and transformers' own cache, which
    grows in place, would mix them.
    """

    __slots__ = ("children", "parent", "row", "values")

    def __init__(self, parent: "_Node | None", row: Key, values: Tensor | None) -> None:
        self.parent = parent
        self.row = row
        self.values = values
        self.children: dict[Key, _Node] = {}


class PrefixTree:
    """What is known of prefixes, in at most max_bytes; the least recently used are forgotten.

    Safe to use from several threads.

    Args:
        max_bytes: of numbers and nodes together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self.max_bytes = max_bytes
        self._num_bytes = 0
        self.evicted = 0
        self._root = _Node(None, -1, None)
        # Least recently used first. A parent always stands behind its children (see _touch), so the
        # first node never has any.
        self._recent: OrderedDict[_Node, None] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def num_bytes(self) -> int:
        """What is held, numbers and nodes together, in bytes."""
        with self._lock:  # in the midst of an addition it is more than max_bytes
            return self._num_bytes

    def find(self, rows: Sequence[Key]) -> list[Tensor]:
        """Values of the longest known prefix, one tensor per item; marks it as used."""
        with self._lock:
            path = self._walk(rows)
            self._touch(path)
        return [node.values for node in path if node.values is not None]

    def add(self, rows: Sequence[Key], values: Tensor) -> None:
        """Remember the last items of a prefix.

        Args:
            rows: the whole prefix. Nothing is added if items before the new ones were forgotten.
            values: (S, W) of its last S items.
        """
        # A slice of a larger tensor would keep all of it in memory, and the count would be wrong.
        own = [row.clone() for row in values]
        known = len(rows) - len(own)
        with self._lock:
            path = self._walk(rows)
            if len(path) < known:  # an item before the new ones was evicted meanwhile
                return
            # From the first unknown item: another thread may have added some of them already.
            for position in range(len(path), len(rows)):
                parent = path[-1] if path else self._root
                node = _Node(parent, rows[position], own[position - known])
                parent.children[node.row] = node
                self._num_bytes += self._bytes(node)
                self._recent[node] = None
                path.append(node)
            self._touch(path)
            self._evict()

    def _walk(self, rows: Sequence[Key]) -> list[_Node]:
        path: list[_Node] = []
        node = self._root
        for row in rows:
            found = node.children.get(row)
            if found is None:
                break
            path.append(found)
            node = found
        return path

    def _touch(self, path: list[_Node]) -> None:
        # Children first, so that a parent is more recent and thus evicted later than they are.
        for node in reversed(path):
            self._recent.move_to_end(node)

    def _evict(self) -> None:
        while self._num_bytes > self.max_bytes and self._recent:
            node, _ = self._recent.popitem(last=False)
            assert node.parent is not None and not node.children
            del node.parent.children[node.row]
            self._num_bytes -= self._bytes(node)
            self.evicted += 1

    @staticmethod
    def _bytes(node: _Node) -> int:
        # The item may be known by nothing but the tree by now.
        own = node.row.vector.nbytes if isinstance(node.row, NewItem) else 0
        return (node.values.nbytes if node.values is not None else 0) + own + NODE_BYTES
