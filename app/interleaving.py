"""Team-draft interleaving: one list from two rankings, in which both are equally likely on top.

F. Radlinski, M. Kurup, T. Joachims: How does clickthrough data reflect retrieval quality?, CIKM
2008, algorithm 2. As for two teams in a playground: in every round a coin says who drafts first,
and each team drafts its best item that is not in the list yet. A click counts for the team that
drafted the item, also where the other one would have drafted it next: over many coins such items
fall to both alike.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

Coin = Callable[[int], bool]  # of a round, from 0: whether the first team drafts first


@dataclass(frozen=True)
class Draft:
    """An item of the list, and which team has drafted it: 0 or 1."""

    item_id: str
    team: int


def interleave(first: Sequence[str], second: Sequence[str], coin: Coin, length: int) -> list[Draft]:
    """Let two rankings draft a list in turn.

    Args:
        first: item ids, the best one first, each once.
        second: of the other team.
        coin: who begins a round.
        length: how many items at most.

    Returns:
        The list; it ends where a team, whose turn it is or not, has no item left, so that neither
        ever drafts two more than the other.
    """
    drafts: list[Draft] = []
    taken: set[str] = set()
    rankings, at = (first, second), [0, 0]
    while len(drafts) < length:
        for team, ranking in enumerate(rankings):
            while at[team] < len(ranking) and ranking[at[team]] in taken:
                at[team] += 1
            if at[team] == len(ranking):
                return drafts
        beginner = 0 if coin(len(drafts) // 2) else 1
        team = beginner if len(drafts) % 2 == 0 else 1 - beginner
        item_id = rankings[team][at[team]]
        drafts.append(Draft(item_id, team))
        taken.add(item_id)
    return drafts


def list_id_of(seed: str, *what: object) -> str:
    """16 hex digits for the list of a test, the same ones whenever it is drafted again.

    Args:
        seed: random, of the test.
        what: all that the list depends on beside the models, as JSON knows it.
    """
    return sha256(json.dumps([seed, *what]).encode()).hexdigest()[:16]


def coin_of(list_id: str) -> Coin:
    """A fair coin that falls the same way whenever a list is drafted again."""
    return lambda number: bool(sha256(f"{list_id} {number}".encode()).digest()[0] & 1)
