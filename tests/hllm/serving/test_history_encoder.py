"""The cache of histories never shows: whatever was asked before, answers equal a full pass."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModel, LlamaConfig, MistralConfig

from hllm.serving.history_encoder import MAX_WAITING, HistoryEncoder, history_window
from hllm.serving.incremental import TransformersIncremental
from tests.hllm.shapes import TINY_LLM
from tests.waiting import wait_until

L = 6


NUM_ITEMS = 48


SHAPE = {**TINY_LLM, "vocab_size": 8}


def new_user_llm(config=None):
    torch.manual_seed(1)
    model = AutoModel.from_config(config or LlamaConfig(**SHAPE)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return model


@pytest.fixture(scope="module")
def user_llm():
    return new_user_llm()


@pytest.fixture(scope="module")
def items():
    return torch.randn(NUM_ITEMS, 32, generator=torch.Generator().manual_seed(2))


class CountingSteps(TransformersIncremental):
    """Notes how many items each call read behind how many known ones."""

    def __init__(self, user_llm, max_history=L):
        super().__init__(user_llm, max_history)
        self.calls = []

    def extend(self, past, items):
        self.calls.append((0 if past is None else len(past), len(items)))
        return super().extend(past, items)


@pytest.fixture
def steps(user_llm):
    return CountingSteps(user_llm)


@pytest.fixture
def encoder(steps, items):
    """Encodes nothing ahead, so that every call of the model belongs to a request."""
    return HistoryEncoder(steps, items, max_history=L, prepare=False)


@pytest.fixture
def ahead(steps, items):
    return HistoryEncoder(steps, items, max_history=L)


@torch.inference_mode()
def oracle(user_llm, items, rows, start=None):
    """The definition: the most recent max_history items in one pass without a cache."""
    recent = items[list(rows[-L:] if start is None else rows[start:])]
    return user_llm(inputs_embeds=recent.unsqueeze(0), use_cache=False).last_hidden_state[0, -1]


def assert_exact(encoder, user_llm, items, rows):
    torch.testing.assert_close(
        encoder.encode(rows), oracle(user_llm, items, rows), atol=1e-4, rtol=0
    )


def check_calls(encoder, user_llm, items, steps, histories):
    """Encode histories one after the other; what the model was asked to read for the last one."""
    for rows in histories:
        steps.calls.clear()
        assert_exact(encoder, user_llm, items, rows)
    return steps.calls


@pytest.mark.parametrize(
    ("histories", "expected"),
    [
        ([[1, 2, 3]], [(0, 3)]),
        ([[1, 2, 3], [1, 2, 3, 4]], [(3, 1)]),  # append
        ([[1, 2, 3], [1, 2, 3]], []),  # the same again
        ([[1, 2, 3, 4], [1, 2, 3]], []),  # undo
        ([[1, 2, 3, 4], [1, 2, 3], [1, 2, 3, 4]], []),  # redo
        ([[1, 2, 3, 4, 5], [1, 2, 4, 5]], [(2, 2)]),  # remove
        ([[1, 2, 3, 4, 5], [1, 2, 4, 3, 5]], [(2, 3)]),  # reorder
        ([[1, 2, 3], [2, 3]], [(0, 2)]),  # without the first item nothing is known
        ([[1, 2, 3], [1, 2, 7], [1, 2, 8], [1, 2, 7, 9]], [(3, 1)]),  # branches
        ([[1, 1, 1], [1, 1, 1, 1]], [(3, 1)]),  # the same item more than once
        ([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]], [(0, 6)]),  # past max_history: anew
        ([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6]], []),  # and back
    ],
)
def test_only_what_is_new_is_read(encoder, user_llm, items, steps, histories, expected):
    assert check_calls(encoder, user_llm, items, steps, histories) == expected


def test_counts_say_what_was_saved(encoder):
    encoder.encode([1, 2, 3])
    encoder.encode([1, 2, 3, 4])
    encoder.encode([1, 2])
    assert (encoder.counts.encoded, encoder.counts.reused) == (4, 5)
    assert encoder.counts.batches == {1: 2}  # what is known waits for no batch


def test_a_reading_says_what_was_read_and_what_was_known(encoder, user_llm, items):
    readings = [encoder.read(rows) for rows in ([1, 2, 3], [1, 2, 3, 4], [1, 2], range(9))]
    assert [(r.num_read, r.num_known) for r in readings] == [(3, 0), (1, 3), (0, 2), (L, 0)]
    torch.testing.assert_close(readings[1].user, oracle(user_llm, items, [1, 2, 3, 4]))


def test_without_the_cache_everything_is_read_and_nothing_kept(encoder, user_llm, items, steps):
    encoder.read([1, 2, 3])
    steps.calls.clear()
    for rows, count in (([1, 2, 3], 3), (range(9), L), ([1, 2, 3], 3)):
        whole = encoder.read_whole(rows)
        assert (whole.num_read, whole.num_known) == (count, 0)
        torch.testing.assert_close(whole.user, oracle(user_llm, items, rows), atol=1e-4, rtol=0)
    assert encoder.read([1, 2, 3]).num_known == 3
    assert encoder.read([5, 6]).num_known == 0


@pytest.mark.parametrize("method", ["encode", "read", "read_whole"])
def test_empty_history_is_refused(encoder, method):
    with pytest.raises(ValueError, match="empty"):
        getattr(encoder, method)([])


def test_an_answer_is_the_callers_to_change(encoder, user_llm, items):
    for _ in range(2):
        encoder.encode([1, 2, 3]).zero_()
    assert_exact(encoder, user_llm, items, [1, 2, 3])
    assert_exact(encoder, user_llm, items, [1, 2, 3, 4])


# Operations on one of two visitors' histories: which visitor, what, where or which item.
OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["append", "append", "append", "undo", "remove", "swap", "copy"]),
        st.integers(0, 11),
    ),
    max_size=40,
)


def walk(operations):
    """The histories that two visitors send."""
    histories, before = [[0], [0]], [[], []]
    for visitor, what, number in operations:
        old = histories[visitor]
        place = number % len(old)
        new = {
            "append": [*old, number],
            "undo": before[visitor],
            "remove": old[:place] + old[place + 1 :],
            "swap": [*old[place:], *old[:place]],
            "copy": list(histories[1 - visitor]),  # opens the other one's link
        }[what]
        if new:
            before[visitor], histories[visitor] = old, new
            yield new


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize("max_bytes", [0, 9_000, 10**9])
@settings(max_examples=15, deadline=None)
@given(operations=OPERATIONS)
def test_any_walk_equals_the_full_pass(user_llm, items, max_bytes, prepare, operations):
    encoder = HistoryEncoder(
        TransformersIncremental(user_llm, L),
        items,
        max_history=L,
        max_bytes=max_bytes,
        prepare=prepare,
    )
    for rows in walk(operations):
        assert_exact(encoder, user_llm, items, rows)
        assert encoder.prefixes.num_bytes <= max_bytes
    assert encoder.wait_until_prepared(10)


def test_long_session_reads_one_item_a_click(ahead, user_llm, items, steps):
    """Past max_history the rest of the window was read while nobody waited."""
    rows = list(range(L))
    ahead.encode(rows)
    for click in range(30):
        assert ahead.wait_until_prepared(10)
        steps.calls.clear()
        rows.append(L + click)
        assert_exact(ahead, user_llm, items, rows)
        assert steps.calls[0] == (L - 1, 1)
    assert ahead.wait_until_prepared(10)
    assert ahead.counts.encoded == L + 30


def test_a_click_cuts_short_what_is_read_ahead(user_llm, items, monkeypatch):
    """It goes on from the slices that are done, and the rest of its window is not read twice."""
    monkeypatch.setattr("hllm.serving.history_encoder.SLICE_ITEMS", 2)
    clicked = threading.Event()

    class Slow(CountingSteps):
        def extend(self, past, items):
            result = super().extend(past, items)
            if threading.current_thread().name == "encode-ahead" and len(self.calls) == 2:
                clicked.set()
                wait_until(lambda: encoder._requests > 0)  # the click waits for this slice
            return result

    steps = Slow(user_llm)
    encoder = HistoryEncoder(steps, items, max_history=L)
    encoder.encode(range(6))
    assert clicked.wait(10)
    assert_exact(encoder, user_llm, items, range(7))
    assert steps.calls[:3] == [(0, 6), (0, 2), (2, 4)]
    assert encoder.wait_until_prepared(10)


def test_many_long_sessions_leave_few_windows_waiting(user_llm, items):
    encoder = HistoryEncoder(TransformersIncremental(user_llm, L), items, max_history=L)
    with encoder._model_lock:  # nothing can be read ahead
        for first in range(3 * MAX_WAITING):
            encoder._queue_next_window(
                [first % NUM_ITEMS, *range(first % 7, 7), first // NUM_ITEMS, 3, 2, 1]
            )
        assert len(encoder._pending) <= MAX_WAITING
        encoder._pending.clear()
    assert encoder.wait_until_prepared(10)


def test_a_failure_ahead_is_met_again_by_the_request(user_llm, items, caplog):
    class Broken(CountingSteps):
        broken = False

        def extend(self, past, items):
            if self.broken:
                raise RuntimeError("out of memory")
            return super().extend(past, items)

    steps = Broken(user_llm)
    encoder = HistoryEncoder(steps, items, max_history=L)
    encoder.encode(range(L - 1))
    steps.broken = True
    with pytest.raises(RuntimeError, match="out of memory"):
        encoder.encode(range(L))
    encoder._queue_next_window(range(L))
    assert encoder.wait_until_prepared(10)
    assert "could not be encoded ahead" in caplog.text
    steps.broken = False
    assert_exact(encoder, user_llm, items, range(L + 1))
    assert encoder.wait_until_prepared(10)


def test_threads_of_many_visitors_get_their_own_answers(ahead, user_llm, items):
    """Shared beginnings, then different items; some histories slide."""
    histories = [
        [0, 1, *[(visitor * step) % 12 for step in range(length)]]
        for visitor in range(8)
        for length in range(1, 10)
    ]
    expected = [oracle(user_llm, items, rows) for rows in histories]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(ahead.encode, histories))
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert ahead.wait_until_prepared(30)


def test_the_same_history_at_once_is_read_once(encoder, steps):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(encoder.encode, [[1, 2, 3]] * 16))
    assert steps.calls == [(0, 3)]


def test_a_stride_reads_anew_only_now_and_then(user_llm, items, steps):
    encoder = HistoryEncoder(steps, items, max_history=L, stride=3, prepare=False)
    rows = [n * 5 % NUM_ITEMS for n in range(20)]
    for length in range(1, 21):
        start = history_window(length, L, 3)
        expected = oracle(user_llm, items, rows[:length], start)
        found = encoder.encode(rows[:length])
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    anew = [new for known, new in steps.calls if new > 1]
    assert anew == [4] * 5  # 14 clicks past the sixth item


def test_window():
    assert [history_window(n, 4) for n in range(8)] == [0, 0, 0, 0, 0, 1, 2, 3]
    assert [history_window(n, 4, 2) for n in range(9)] == [0, 0, 0, 0, 0, 2, 2, 4, 4]
    assert [history_window(n, 4, 4) for n in (4, 5, 8, 9)] == [0, 4, 4, 8]
    for stride in (0, 5):
        with pytest.raises(ValueError, match=f"stride {stride}: choose one from 1"):
            history_window(3, 4, stride)


def test_half_precision_and_one_item_windows(user_llm, items):
    encoder = HistoryEncoder(TransformersIncremental(user_llm, 1), items.half(), max_history=1)
    expected = oracle(user_llm, items.half().float(), [3], 0)
    torch.testing.assert_close(encoder.encode([1, 2, 3]), expected, atol=1e-4, rtol=0)
    bf16 = new_user_llm().bfloat16()
    found = HistoryEncoder(TransformersIncremental(bf16, L), items, max_history=L).encode([1, 2, 3])
    assert found.dtype == torch.bfloat16


@pytest.mark.parametrize(("window", "can_resume"), [(64, True), (3, False)])
def test_sliding_attention_is_cached_only_if_it_never_slides(items, window, can_resume):
    mistral = new_user_llm(MistralConfig(**SHAPE, sliding_window=window))
    steps = CountingSteps(mistral)
    assert steps.can_resume is can_resume
    encoder = HistoryEncoder(steps, items, max_history=L)
    check_calls(encoder, mistral, items, steps, [[1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]])
    assert steps.calls[0] == ((5, 1) if can_resume else (0, 6))
    assert encoder.wait_until_prepared(10)


class TogetherSteps(TransformersIncremental):
    """Holds the first call until everyone else waits; notes how many histories shared a pass."""

    def __init__(self, user_llm, max_history=L):
        super().__init__(user_llm, max_history)
        self.everyone_waits = threading.Event()
        self.everyone_waits.set()
        self.sizes = []

    def extend(self, past, items):
        self.everyone_waits.wait(10)
        self.sizes.append(1)
        return super().extend(past, items)

    def append(self, pasts, items):
        self.sizes.append(len(pasts))
        return super().append(pasts, items)


def test_visitors_who_click_at_once_share_a_pass_and_nothing_else(user_llm, items):
    steps = TogetherSteps(user_llm)
    encoder = HistoryEncoder(steps, items, max_history=L, prepare=False)
    histories = [list(range(start, start + 2 + start % (L - 1))) for start in range(12)]
    for rows in histories:
        encoder.encode(rows[:-1])
    steps.everyone_waits.clear()
    steps.sizes.clear()
    with ThreadPoolExecutor(14) as pool:
        first = pool.submit(encoder.encode, [40])  # keeps the model busy
        wait_until(lambda: encoder._batcher._busy)
        answers = [pool.submit(encoder.encode, rows) for rows in histories]
        wait_until(lambda: len(encoder._batcher._waiting) == len(histories))
        steps.everyone_waits.set()
        for rows, answer in zip(histories, answers, strict=True):
            assert (answer.result(10) - oracle(user_llm, items, rows)).abs().max() < 1e-4
        assert (first.result(10) - oracle(user_llm, items, [40])).abs().max() < 1e-4
    assert steps.sizes == [1, 12]
    # What was remembered in company is what would have been remembered alone.
    for rows in histories:
        longer = [*rows, 45]
        assert (encoder.encode(longer) - oracle(user_llm, items, longer)).abs().max() < 1e-4
