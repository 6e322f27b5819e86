"""The global temporal split: by hand, and against the rule of the paper's code in pandas."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from hllm.data import eval_cases, training_parts
from hllm.errors import DataError
from hllm.split_options import SplitOptions
from hllm.splits import is_held_out, read_split, training_view
from hllm.temporal import clock_unit, cut_moment, moments_of

START = 1_500_000_000


def table(num_users=60, num_items=30, seed=0):
    """Users who come at different times: some only before a cut, some only after it."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(num_users):
        begin = rng.integers(0, 1000)
        times = np.sort(begin + rng.integers(0, 300, rng.integers(1, 12)))  # with equal ones
        rows += [(f"i{rng.integers(num_items)}", f"u{user}", START + int(t)) for t in times]
    return pd.DataFrame(rows, columns=["item_id", "user_id", "timestamp"])


@pytest.fixture
def written(tmp_path):
    def write(frame):
        path = tmp_path / "interactions.csv"
        frame.to_csv(path, index=False)
        return path

    return write


def by_the_paper(frame, quantile):
    """Training, validation and test users by the rules of the paper's code."""

    def halves(data):
        cut = data["timestamp"].quantile(quantile)
        early = data[data["timestamp"] <= cut]
        early = early[early.groupby("user_id")["item_id"].transform("size") > 1]
        last = data.groupby("user_id")["timestamp"].transform("max")
        return early, data[last > cut], cut

    frame = frame.sort_values(["user_id", "timestamp"], kind="stable")
    early, test, test_cut = halves(frame)
    training, valid, valid_cut = halves(early)
    return training, (valid, valid_cut), (test, test_cut)


@pytest.mark.parametrize("quantile", [0.5, 0.8, 0.9])
@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_papers_split(written, quantile, seed):
    frame = table(seed=seed)
    read = read_split(written(frame), SplitOptions(split="temporal", split_quantile=quantile))
    training, valid, test = by_the_paper(frame, quantile)
    found = sorted([read.item_ids[i] for i in part] for part in training_parts(read))
    assert found == sorted(group["item_id"].tolist() for _, group in training.groupby("user_id"))
    for phase, (held, cut) in (("valid", valid), ("test", test)):
        expected = {
            user: (group["item_id"].tolist()[:-1], group["item_id"].iloc[-1])
            for user, group in held.groupby("user_id")
            if len(group) > 1  # without a history there is nothing to predict from
        }
        cases = {
            read.user_ids[case.user]: (
                [read.item_ids[i] for i in case.history],
                read.item_ids[case.target],
            )
            for case in eval_cases(read, phase)
        }
        assert cases == expected and (held["timestamp"] > cut).any()


def test_a_random_target_is_any_later_one_and_the_same_in_any_order(written):
    frame = table(num_users=400)
    split = SplitOptions(split="temporal", split_target="random", split_quantile=0.5)
    read = read_split(written(frame), split)
    cut = frame["timestamp"].quantile(0.5)
    late = {user: (g["timestamp"] > cut).sum() for user, g in frame.groupby("user_id")}
    size = {user: len(g) for user, g in frame.groupby("user_id")}
    places = {read.user_ids[c.user]: len(c.history) for c in eval_cases(read, "test")}
    assert all(max(size[u] - late[u], 1) <= place < size[u] for u, place in places.items())
    assert len({size[u] - place for u, place in places.items()}) > 5  # not the last ones alone
    again = read_split(written(frame[::-1].sort_values("timestamp", kind="stable")), split)
    assert {again.user_ids[c.user]: len(c.history) for c in eval_cases(again, "test")} == places
    other = read_split(written(frame), SplitOptions(**vars(split) | {"split_seed": 1}))
    assert {other.user_ids[c.user]: len(c.history) for c in eval_cases(other, "test")} != places


def test_what_is_new_to_training_is_kept_and_counted(written):
    rows = [(f"i{n % 5}", f"old{n % 4}", START + n) for n in range(40)]
    rows += [("i1", "new", START + 50), ("later", "new", START + 51)]
    rows += [("i2", "old0", START + 52), ("i1", "alone", START + 53)]
    frame = pd.DataFrame(rows, columns=["item_id", "user_id", "timestamp"])
    read = read_split(written(frame), SplitOptions(split="temporal", split_quantile=0.9))
    cases = {read.user_ids[case.user]: case for case in eval_cases(read, "test")}
    assert "new" in cases and "alone" not in cases
    assert read.item_ids[cases["new"].target] == "later"
    assert [read.user_ids[n] for n in np.flatnonzero(read.parts.new_users)] == ["new", "alone"]
    assert "1 of them new to training; 1 targets are items new" in read.parts.description
    assert "validation until 2017-07-14 02:40:" in read.parts.description


def test_held_out_items_go_with_a_cut(written):
    split = SplitOptions(split="temporal", split_quantile=0.7, held_out_items=0.3)
    frame = table()
    read, plain = (
        read_split(written(frame), s)
        for s in (split, SplitOptions(split="temporal", split_quantile=0.7))
    )
    view = training_view(read)
    assert not [i for i in view.item_ids if is_held_out(i, 0.3, 0)]
    expected = sorted(
        [i for i in (plain.item_ids[n] for n in part) if not is_held_out(i, 0.3, 0)]
        for part in training_parts(plain)
    )
    found = sorted([view.item_ids[n] for n in part] for part in training_parts(view))
    assert found == [part for part in expected if part]
    assert len(eval_cases(read, "test")) == len(eval_cases(plain, "test"))
    assert read.parts.description == plain.parts.description != ""


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
def test_clock_times_of_any_unit(unit):
    assert clock_unit("x", [START * unit, (START + 10**8) * unit]) == unit


@pytest.mark.parametrize(
    "times", [[0, 1, 2], [0, START], [START, START * 1000], [2014, 2018], [17_000, 18_000]]
)
def test_positions_and_other_numbers_are_no_clock_times(times):
    with pytest.raises(DataError, match=r"x: --split temporal needs clock times.*use --split"):
        clock_unit("x", times)


def test_moments_are_exact():
    times = [Decimal("1.5"), 1, Decimal("1.25"), 1, 3]
    moments, distinct = moments_of(times)
    assert moments.tolist() == [2, 0, 1, 0, 3]
    assert distinct == [1, Decimal("1.25"), Decimal("1.5"), 3]


def test_equal_times_are_never_torn_apart():
    assert cut_moment([np.array([0, 1, 1, 1]), np.array([2])], 0.3) == 1


def test_a_cut_that_leaves_nothing_is_an_error(written):
    early = SplitOptions(split="temporal", split_quantile=0.0)
    with pytest.raises(DataError, match=r"--split_quantile 0\.0: no user has two"):
        read_split(written(table(num_users=8)), early)
    at_once = table().assign(timestamp=START)
    with pytest.raises(DataError, match=r"--split_quantile 0\.9: training, .* would be empty"):
        read_split(written(at_once), SplitOptions(split="temporal"))
