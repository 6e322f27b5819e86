"""Team-draft interleaving: each team in its own order, as many of each, both as often on top."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.interleaving import coin_of, interleave, list_id_of

rankings = st.lists(st.integers(0, 30).map(str), unique=True, max_size=25)
SEEDS = 4000


def paper(first, second, bits, length):
    """Algorithm 2 of the paper as it is written there."""
    found, teams = [], ([], [])
    a, b = list(first), list(second)
    while set(a) - set(found) and set(b) - set(found) and len(found) < length:
        if len(teams[0]) < len(teams[1]) or (len(teams[0]) == len(teams[1]) and next(bits)):
            team, ranking = 0, a
        else:
            team, ranking = 1, b
        item = next(i for i in ranking if i not in found)
        found.append(item)
        teams[team].append(item)
    return found, teams


@given(first=rankings, second=rankings, seed=st.text(max_size=8), length=st.integers(0, 12))
def test_lists_are_those_of_the_paper(first, second, seed, length):
    coin = coin_of(seed)
    drafts = interleave(first, second, coin, length)
    found, teams = paper(first, second, (coin(n) for n in range(100)), length)
    assert [draft.item_id for draft in drafts] == found
    for team, drafted in enumerate(teams):
        assert [d.item_id for d in drafts if d.team == team] == drafted


@given(first=rankings, second=rankings, seed=st.text(max_size=8))
def test_teams_draft_in_their_own_order_and_equally_many(first, second, seed):
    drafts = interleave(first, second, coin_of(seed), 10)
    ids = [draft.item_id for draft in drafts]
    assert len(set(ids)) == len(ids) <= 10
    for team, ranking in enumerate((first, second)):
        own = [ranking.index(d.item_id) for d in drafts if d.team == team]
        assert own == sorted(own)
    sizes = [sum(d.team == team for d in drafts) for team in (0, 1)]
    assert abs(sizes[0] - sizes[1]) <= 1


@pytest.mark.parametrize(("first", "second"), [([], []), (["a"], []), ([], ["a"])])
def test_a_team_without_items_drafts_no_list(first, second):
    assert interleave(first, second, coin_of("x"), 10) == []


def test_a_short_ranking_ends_the_list_for_both():
    first, second = ["a", "b"], list("cdefghij")
    drafts = interleave(first, second, lambda _: True, 10)
    assert [(d.item_id, d.team) for d in drafts] == [("a", 0), ("c", 1), ("b", 0)]
    drafts = interleave(first, second, lambda _: False, 10)
    assert [d.item_id for d in drafts] == ["c", "a", "d", "b"]


def test_over_many_lists_both_are_as_often_on_top_and_have_equal_chances_everywhere():
    """Two models without a difference in quality: clicks fall to both alike, whatever the bias."""
    random, wins, on_top = Random(0), [0, 0], 0
    items = [str(n) for n in range(20)]
    for number in range(SEEDS):
        first, second = random.sample(items, 20), random.sample(items, 20)
        drafts = interleave(first, second, coin_of(list_id_of(f"{number:016x}", ["h"])), 10)
        on_top += drafts[0].team == 0
        # A visitor who almost always takes what stands on top.
        wins[drafts[min(int(random.expovariate(1.5)), 9)].team] += 1
    spread = 4 * (SEEDS / 4) ** 0.5  # four standard deviations of a fair coin
    assert abs(on_top - SEEDS / 2) < spread
    assert abs(wins[0] - SEEDS / 2) < spread


def test_equal_rankings_share_their_items_by_the_coin():
    items = [str(n) for n in range(10)]
    teams = [[d.team for d in interleave(items, items, coin_of(f"{n}"), 10)] for n in range(SEEDS)]
    for position in range(10):
        share = sum(found[position] for found in teams)
        assert abs(share - SEEDS / 2) < 4 * (SEEDS / 4) ** 0.5


def test_a_list_stays_the_same_and_another_one_has_other_coins():
    one = list_id_of("ab" * 8, ["a", "b"], ["", None, 5.0])
    assert one == list_id_of("ab" * 8, ["a", "b"], ("", None, 5.0)) and len(one) == 16
    others = {
        list_id_of("ac" * 8, ["a", "b"], ["", None, 5.0]),
        list_id_of("ab" * 8, ["b", "a"], ["", None, 5.0]),
        list_id_of("ab" * 8, ["ab"], ["", None, 5.0]),
        list_id_of("ab" * 8, ["a", "b"], ["", 5.0, None]),
    }
    assert len(others | {one}) == 5
    coin = coin_of(one)
    assert [coin(n) for n in range(64)] == [coin_of(one)(n) for n in range(64)]
    assert 0 < sum(coin(n) for n in range(64)) < 64
