"""The sign test: whether two models that won unequally often can still be equally good."""

from dataclasses import dataclass

from app.languages import marked, tr

UNLIKELY = 0.05  # a smaller p-value is called unlikely to be chance
CONFIDENCE = 0.95
IS_UNLIKELY = marked(
    "This is unlikely to be chance: of two equally good models, one would win at least as clearly "
    "in {chance} of such tests (exact two-sided sign test, {p})."
)
IS_LIKELY = marked(
    "This could well be chance: of two equally good models, one would win at least as clearly in "
    "{chance} of such tests (exact two-sided sign test, {p})."
)


@dataclass(frozen=True)
class SignTest:
    """An exact two-sided sign test.

    Attributes:
        wins, losses: how many of each.
        p_value: how often equally good models would be at least as far apart.
        low, high: exact 95% interval (Clopper and Pearson) of the share of wins.
    """

    wins: int
    losses: int
    p_value: float
    low: float
    high: float


def sign_test(wins: int, losses: int) -> SignTest:
    """Test whether wins and losses are equally likely; without any, nothing is known."""
    from scipy.stats import binomtest  # noqa: PLC0415  takes a second, for which no page should wait

    if not wins + losses:
        return SignTest(0, 0, 1.0, 0.0, 1.0)
    test = binomtest(wins, wins + losses)
    interval = test.proportion_ci(CONFIDENCE, "exact")
    low, high = float(interval.low), float(interval.high)
    return SignTest(wins, losses, float(test.pvalue), low, high)


def verdict(test: SignTest) -> str:
    """What a test says, in one plain sentence."""
    chance, p = f"{100 * test.p_value:.2g}%", f"p = {test.p_value:.2g}"
    if test.p_value > 0.99:
        chance, p = tr("all"), f"p = {test.p_value:.2f}"
    elif test.p_value < 0.001:
        chance, p = tr("fewer than 0.1%"), "p < 0.001"
    is_unlikely = test.p_value < UNLIKELY
    return tr(IS_UNLIKELY if is_unlikely else IS_LIKELY, chance=chance, p=p)
