"""User embeddings from what is known of a history's prefixes: an exact cache of keys and values.

A click adds one item to a history whose keys and values are known: only that item is encoded. The
cache is a tree of items (hllm.serving.prefix_tree) that all visitors of one encoder share.

Past max_history every click drops the oldest item. All keys and values saw that item, so none of
them can be kept: the most recent max_history items have to be encoded anew. Dropping the oldest
entry of the cache would be wrong (cosine 0.86 to the right answer on a small Llama). But as soon as
a click is answered, the whole next window is known except for its last item. It is encoded ahead
while the visitor reads, so that the next click costs one item again and the answer stays exact.
Where no machine time is left between clicks, a stride spends less in all, at the price of another
definition of what is read: history_window.

Visitors who click at the same moment share one forward pass (hllm.serving.request_batching).

D width.
"""

import logging
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hllm.serving.incremental import IncrementalModel
from hllm.serving.new_items import Key, vectors_of
from hllm.serving.prefix_tree import CACHE_BYTES, PrefixTree
from hllm.serving.request_batching import MAX_BATCH, Batcher

SLICE_ITEMS = 8  # encoded ahead in one go: a click waits for no more than these
MAX_WAITING = 32  # windows to encode ahead; beyond that, the oldest is left to the click itself

_log = logging.getLogger(__name__)


def history_window(length: int, max_history: int, stride: int = 1) -> int:
    """Where the part of a history starts that the User LLM reads.

    Stride 1 is what training, evaluation and serving do: the most recent max_history items. A
    larger stride moves the start by that many items at once. Then max_history - stride + 1 to
    max_history items are read, and only one click in `stride` re-encodes them. That is another
    definition: evaluate with it before serving with it.

    Args:
        length: items of the history.
        max_history: most items that are read.
        stride: 1 to max_history; the start is a multiple of it.

    Returns:
        The index of the first item that is read.
    """
    if not 1 <= stride <= max_history:
        raise ValueError(f"stride {stride}: choose one from 1 to max_history = {max_history}")
    surplus = max(0, length - max_history)
    return -(-surplus // stride) * stride  # rounded up: never more than max_history items are read


@dataclass
class EncoderCounts:
    """Work done since the start.

    Attributes:
        encoded: items that a request waited for.
        prepared: items encoded ahead of requests.
        reused: items of requests that were known.
        batches: how many batches of requests there were of each size.
    """

    encoded: int = 0
    prepared: int = 0
    reused: int = 0
    batches: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class Reading:
    """The user embedding of a history, and the work that it took.

    Attributes:
        user: (D,) the User LLM's state at the last item, the caller's to keep.
        num_read: items that were read for it.
        num_known: items that were known already.
    """

    user: Tensor
    num_read: int
    num_known: int

    def to(self, device: torch.device) -> "Reading":
        """The same with the embedding on a device."""
        return Reading(self.user.to(device), self.num_read, self.num_known)


class HistoryEncoder:
    """User embeddings of histories, for any number of visitors and threads.

    Requests that come in during a forward pass share the next one, and two visitors with the same
    history compute it once. What is known is answered without waiting.

    Args:
        steps: the User LLM.
        items: (N, D) item embeddings as the User LLM reads them; may be memory-mapped.
        max_history: most items that are read.
        stride: see history_window.
        max_bytes: of the cache; 0 encodes every history in full.
        max_batch: most histories of one forward pass.
        prepare: encode the next window ahead, in a thread, once a history is max_history long.
    """

    def __init__(
        self,
        steps: IncrementalModel,
        items: Tensor,
        *,
        max_history: int,
        stride: int = 1,
        max_bytes: int = CACHE_BYTES,
        max_batch: int = MAX_BATCH,
        prepare: bool = True,
    ) -> None:
        history_window(0, max_history, stride)  # raises ValueError
        self.prefixes = PrefixTree(max_bytes)
        self.counts = EncoderCounts()
        self._steps = steps
        self._items = items
        self._max_history = max_history
        self._stride = stride
        self._prepares = prepare and max_bytes > 0 and steps.can_resume
        # One forward pass at a time: it already uses every core (or the whole GPU), and two at once
        # would only take memory bandwidth from each other.
        self._model_lock = threading.Lock()
        self._batcher = Batcher(self._extend_all, max_batch)
        self._changed = threading.Condition()  # guards the counts and the three below
        self._requests = 0
        # Windows to encode ahead, as an ordered set: the one asked for longest ago comes first.
        self._pending: OrderedDict[tuple[Key, ...], None] = OrderedDict()
        self._worker: threading.Thread | None = None

    def encode(self, rows: Sequence[Key]) -> Tensor:
        """As `read`: the user embedding (D,) alone."""
        return self.read(rows).user

    def read(self, rows: Sequence[Key], *, ahead: bool = True) -> Reading:
        """The user embedding of a history.

        Args:
            rows: of the items, or items that have none, oldest first, at least one.
            ahead: the next click's window may be encoded ahead; False where none will come.

        Raises:
            ValueError: an empty history.
        """
        window = self._window(rows)
        known = self.prefixes.find(window)
        if len(known) == len(window):  # no need to wait for the model
            state, new = self._state(known[-1]), 0
        else:
            with self._request(window):
                state, new = self._batcher.submit(window)
        with self._changed:
            self.counts.encoded += new
            self.counts.reused += len(window) - new
        if ahead:
            self._queue_next_window(rows)
        return Reading(state, new, len(window) - new)

    def read_whole(self, rows: Sequence[Key]) -> Reading:
        """The same by reading all of it, whatever is known; nothing of it is kept.

        Args:
            rows: see read.

        Raises:
            ValueError: an empty history.
        """
        window = self._window(rows)
        inputs = vectors_of(self._items, window).float()
        with self._model_lock:
            return Reading(self._steps.read([inputs])[0], len(window), 0)

    def _window(self, rows: Sequence[Key]) -> tuple[Key, ...]:
        if not rows:
            raise ValueError("the history is empty")
        return tuple(rows[history_window(len(rows), self._max_history, self._stride) :])

    def wait_until_prepared(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to encode ahead; False if `timeout` seconds are not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: self._worker is None, timeout)

    def _state(self, values: Tensor) -> Tensor:
        """State (D,) of one item's cached numbers (F + D,): keys and values, then the state."""
        # A copy: the cache's tensors are shared by all visitors.
        return values[-self._items.shape[1] :].clone()

    @contextmanager
    def _request(self, window: tuple[Key, ...]) -> Iterator[None]:
        """Announce a request, so that encoding ahead lets it go first."""
        with self._changed:
            self._requests += 1
            self._pending.pop(window[:-1], None)  # the request itself goes on from here
        try:
            yield
        finally:
            with self._changed:
                self._requests -= 1
                self._changed.notify_all()

    def _extend_all(self, windows: Sequence[tuple[Key, ...]]) -> list[tuple[Tensor, int]]:
        """As _extend, for several windows."""
        answers: dict[tuple[Key, ...], tuple[Tensor, int]] = {}
        with self._changed:
            self.counts.batches[len(windows)] += 1
        with self._model_lock:
            # Most clicks add one item: these are read side by side, however long their prefixes.
            appends = self._appends(windows)
            if len(appends) > 1:
                answers = self._append_all(appends)
            for window in windows:
                if window not in answers:
                    answers[window] = self._extend(window)
        # Copies: two visitors may have sent the same window.
        return [(answers[window][0].clone(), answers[window][1]) for window in windows]

    def _appends(self, windows: Sequence[tuple[Key, ...]]) -> dict[tuple[Key, ...], Tensor]:
        """Those windows of which only the last item is new, with what is known of their prefix."""
        if not self._steps.can_batch:
            return {}
        found = {window: self.prefixes.find(window) for window in windows if len(window) > 1}
        return {
            window: torch.stack(known)[:, : -self._items.shape[1]]  # (P, F), without the states
            for window, known in found.items()
            if len(known) == len(window) - 1
        }

    def _append_all(
        self, appends: dict[tuple[Key, ...], Tensor]
    ) -> dict[tuple[Key, ...], tuple[Tensor, int]]:
        """As _extend, for windows that each add one item behind what is known of them."""
        last = [window[-1] for window in appends]
        memory, states = self._steps.append(list(appends.values()), vectors_of(self._items, last))
        values = torch.cat([memory, states], dim=1)  # (B, F + D)
        for row, window in enumerate(appends):
            self.prefixes.add(window, values[row : row + 1])
        return {window: (states[row], 1) for row, window in enumerate(appends)}

    def _extend(self, window: tuple[Key, ...]) -> tuple[Tensor, int]:
        """State at the end of a window, and how many items were encoded; needs self._model_lock."""
        # Looked up again: while this request waited, another one may have encoded the same items.
        known = self.prefixes.find(window)
        if len(known) == len(window):
            return self._state(known[-1]), 0
        past = torch.stack(known)[:, : -self._items.shape[1]] if known else None
        new = list(window[len(known) :])
        memory, states = self._steps.extend(past, vectors_of(self._items, new))
        if self._steps.can_resume:
            self.prefixes.add(window, torch.cat([memory, states], dim=1))
        return states[-1].clone(), len(new)

    def _queue_next_window(self, rows: Sequence[Key]) -> None:
        """Have the next window encoded ahead, without its last item, which is not known yet."""
        now, following = (
            history_window(length, self._max_history, self._stride)
            for length in (len(rows), len(rows) + 1)
        )
        prefix = tuple(rows[following:])
        # While nothing is dropped (following == now), the next click can reuse this one's cache.
        if not self._prepares or following == now or not prefix:
            return
        if len(self.prefixes.find(prefix)) == len(prefix):
            return
        with self._changed:
            self._pending[prefix] = None
            self._pending.move_to_end(prefix)
            while len(self._pending) > MAX_WAITING:
                self._pending.popitem(last=False)
            if self._worker is None:
                # Not a daemon: a thread that is inside torch when Python ends would crash it.
                self._worker = threading.Thread(target=self._encode_pending, name="encode-ahead")
                self._worker.start()

    def _encode_pending(self) -> None:
        try:
            while (prefix := self._next_pending()) is not None:
                self._encode_ahead(prefix)
                with self._changed:
                    self._pending.pop(prefix, None)
        except Exception:
            # Not raised: whoever asks for this window meets the same error and is told then.
            _log.exception("A history could not be encoded ahead")
            with self._changed:
                self._pending.clear()
                self._worker = None
                self._changed.notify_all()

    def _next_pending(self) -> tuple[Key, ...] | None:
        """The window that waits longest; None ends the thread."""
        with self._changed:
            # This thread must not keep a program alive whose main thread has ended.
            if self._pending and threading.main_thread().is_alive():
                return next(iter(self._pending))
            self._worker = None
            self._changed.notify_all()
            return None

    def _encode_ahead(self, prefix: tuple[Key, ...]) -> None:
        """Encode a window slice by slice; between two slices, requests go first."""
        reached = 0
        while reached < len(prefix) and self._may_go_on(prefix):
            with self._model_lock:
                known = len(self.prefixes.find(prefix))
                if known < reached:
                    return  # evicted meanwhile: the cache is too small to prepare anything
                reached = min(known + SLICE_ITEMS, len(prefix))
                self.counts.prepared += self._extend(prefix[:reached])[1]

    def _may_go_on(self, prefix: tuple[Key, ...]) -> bool:
        """Let waiting requests go first; then say whether this window is still wanted."""
        with self._changed:
            self._changed.wait_for(lambda: not self._requests)
            return prefix in self._pending and threading.main_thread().is_alive()
