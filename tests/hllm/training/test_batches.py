"""Training batches: every sequence once, padding, negatives that follow from the step."""

import random

import numpy as np

from hllm.training.batches import batch_rows, make_batch, make_reference_batch, reference_sample


def test_each_epoch_holds_every_row_once_in_another_order():
    lengths = np.random.default_rng(0).integers(2, 50, 101)
    epochs = [batch_rows(lengths, 10, seed=1, epoch=epoch) for epoch in (0, 0, 1)]
    for batches in epochs:
        assert sorted(np.concatenate(batches)) == list(range(101))
    assert all((a == b).all() for a, b in zip(epochs[0], epochs[1], strict=True))
    assert any(
        len(a) != len(b) or (a != b).any() for a, b in zip(epochs[0], epochs[2], strict=True)
    )


def test_batches_hold_sequences_of_similar_length():
    lengths = np.random.default_rng(0).integers(2, 50, 1000)
    batches = batch_rows(lengths, 20, seed=1, epoch=0)
    assert max(np.ptp(lengths[rows]) for rows in batches) <= 5


def test_padding_mask_and_targets():
    batch = make_batch([np.array([5, 6, 7]), np.array([8, 9])], np.arange(1, 20), 4, seed=(0, 0))
    assert batch.items.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.mask.tolist() == [[True, True], [True, False]]


def test_single_item_sequences_have_no_target():
    batch = make_batch([np.array([5])], np.arange(1, 20), 4, seed=(0, 0))
    assert batch.items.tolist() == [[5, 0]]
    assert not batch.mask.any()


def test_negatives_follow_from_the_seed_and_cover_what_may_be_drawn():
    chunk, drawable = [np.array([1, 2])], np.array([1, 2, 4, 7])
    first, again, other = (
        make_batch(chunk, drawable, 500, seed=s).negatives for s in [(1, 2), (1, 2), (1, 3)]
    )
    assert first.equal(again)
    assert not first.equal(other)
    assert sorted(set(first.tolist())) == [1, 2, 4, 7]


def test_reference_batches_draw_what_the_reference_draws():
    chunks = [np.array([1, 2, 3]), np.array([4, 5])]
    for per_sequence in (None, 4):
        batch = make_reference_batch(chunks, 20, per_sequence, max_history=5, seed=(1, 2))
        rng, expected = random.Random(repr((1, 2))), []
        for chunk in chunks:
            expected += reference_sample(rng, chunk.tolist(), 20, 5, per_sequence)[1]
        assert batch.negatives.tolist() == expected
        assert len(expected) == 2 * (per_sequence or 6)
        assert batch.items.tolist() == [[1, 2, 3], [4, 5, 0]]
