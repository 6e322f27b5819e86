"""A random sample of the users, where ranking all of them would take too long."""

import numpy as np

from hllm.data import EvalCase


def sample_cases(cases: list[EvalCase], max_users: int | None, seed: int) -> list[EvalCase]:
    """At most max_users cases, drawn without replacement, in the original order.

    Args:
        cases: n cases, one per user.
        max_users: None: all.
        seed: of the draw.
    """
    if max_users is None or len(cases) <= max_users:
        return cases
    # The start of one permutation: a larger sample of the same seed contains the smaller one.
    rows = np.random.default_rng(seed).permutation(len(cases))[:max_users]
    return [cases[row] for row in sorted(rows)]
