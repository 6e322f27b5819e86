"""How many events may come; app.event_log's tests hold it to whole logs."""

from app.event_limits import ALL_BURST, MAX_TABS, TAB_BURST, TAB_PER_SECOND, Limits


def test_an_allowance_is_used_up_and_fills_up_again():
    now = [0.0]
    limits = Limits(lambda: now[0])
    assert [limits.allow("a") for _ in range(TAB_BURST + 1)] == [True] * TAB_BURST + [False]
    assert limits.allow("b")
    now[0] = 10
    assert sum(limits.allow("a") for _ in range(100)) == 10 * TAB_PER_SECOND
    now[0] = 1e6
    assert sum(limits.allow("a") for _ in range(2 * TAB_BURST)) == TAB_BURST


def test_all_together_have_one_and_only_so_many_are_remembered():
    limits = Limits(lambda: 0.0)
    assert sum(limits.allow(str(n)) for n in range(2 * MAX_TABS)) == ALL_BURST
    assert len(limits._tabs) == MAX_TABS
