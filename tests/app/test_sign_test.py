"""The exact sign test against values that are known."""

from math import comb

import pytest

from app.sign_test import sign_test, verdict


@pytest.mark.parametrize(
    ("wins", "losses", "p_value"),
    # Tables of the binomial test; 9 of 10 is the smallest majority of ten below 5%.
    [(5, 5, 1.0), (6, 4, 0.753906), (7, 3, 0.34375), (8, 2, 0.109375), (9, 1, 0.021484),
     (10, 0, 0.001953), (0, 1, 1.0), (0, 0, 1.0), (15, 5, 0.041389)],
)  # fmt: skip
def test_known_values(wins, losses, p_value):
    assert sign_test(wins, losses).p_value == pytest.approx(p_value, abs=1e-6)
    assert sign_test(losses, wins).p_value == pytest.approx(p_value, abs=1e-6)


def test_all_small_ones_by_counting():
    for wins in range(13):
        for losses in range(13 - wins):
            n, far = wins + losses, min(wins, losses)
            tail = 2 * sum(comb(n, k) for k in range(far + 1)) / 2**n
            assert sign_test(wins, losses).p_value == pytest.approx(min(1.0, tail))


def test_interval_of_clopper_and_pearson():
    found = sign_test(7, 3)
    assert (found.low, found.high) == pytest.approx((0.347547, 0.933260), abs=1e-5)
    nothing = sign_test(0, 0)
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    assert sign_test(10, 0).high == 1.0


@pytest.mark.parametrize(
    ("wins", "losses", "words"),
    [
        (5, 5, ["could well be chance", "in all of such tests", "p = 1.00"]),
        (7, 3, ["could well be chance", "in 34% of such tests", "p = 0.34"]),
        (1, 9, ["is unlikely to be chance", "in 2.1% of such tests", "p = 0.021"]),
        (90, 10, ["is unlikely to be chance", "in fewer than 0.1% of such tests", "p < 0.001"]),
    ],
)
def test_it_is_said_in_a_sentence(wins, losses, words):
    sentence = verdict(sign_test(wins, losses))
    assert all(word in sentence for word in words), sentence
    assert sentence.count(".") == 1 + sum(word.count(".") for word in words)
