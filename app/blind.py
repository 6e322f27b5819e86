"""The blind test: for which model a pick from the one list counts.

Nothing is kept between requests: a page sends what the list was drafted from, and it is drafted
again. A pick that does not stand there where the page has shown it counts for nobody, and the page
is told so.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.asking import Asker
from app.catalog import ItemFilter
from app.catalog.events import BlindPick
from app.languages import marked, tr
from app.places import place
from app.scoreboard import OTHER_MODELS
from app.service import Service, blind_list_id
from app.sign_test import SignTest, sign_test, verdict

MAX_AT_ONCE = 2
GONE = marked("This pick does not count: the list that it was picked from is not known any more.")


@dataclass(frozen=True)
class Vote:
    """What a page says of a pick.

    Attributes:
        seed: of the test; "" is none.
        item_id: of the picked item.
        position: where it stood in the list, from 1.
        withdrawn: the visitor has taken it back.
        session_id: random id of a visitor's page.
    """

    seed: str
    item_id: str
    position: int
    withdrawn: bool
    session_id: str


class Credit(NamedTuple):
    """For whom a pick counts.

    Attributes:
        team: key of the column whose model drafted the item; "": nobody's.
        message: why it does not count; "" also for one that is withdrawn.
        is_stored: otherwise it may be told again.
    """

    team: str
    message: str
    is_stored: bool = True


class BlindTest(Asker):
    """Credits picks, and says what they mean."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._judging = threading.BoundedSemaphore(MAX_AT_ONCE)

    @property
    def service(self) -> Service:
        """Whose columns draft."""
        return self._service

    def judge(self, vote: Vote, raw_history: object, item_filter: ItemFilter) -> Credit:
        """For whom a pick counts, which is recorded, or withdrawn.

        Args:
            vote: the pick.
            raw_history: that the list was for, as a page sent it; see app.session.clean_history.
            item_filter: that the list was for.

        Raises:
            CatalogError: the catalogue cannot be read.
            BusyError: too many ask at once.
        """
        if not self._service.counts_picks:
            return Credit("", tr(OTHER_MODELS))
        history = self._service.clean(raw_history)
        if not vote.seed or not history.item_ids or history.notices:
            return Credit("", tr(GONE))
        if vote.withdrawn:
            list_id = blind_list_id(vote.seed, history.item_ids, item_filter)
            receipt = self._service.events.withdraw(vote.session_id, list_id, vote.item_id)
            return Credit("", "", receipt.is_stored())
        with place(self._judging):
            drafted = self._service.blind_list(history, item_filter, vote.seed)
        drafts = drafted.drafts if drafted else []
        shown = drafts[vote.position - 1 : vote.position] if vote.position else []
        if drafted is None or [draft.item_id for draft in shown] != [vote.item_id]:
            return Credit("", tr(GONE))
        team = self._service.columns[shown[0].team].key
        receipt = self._service.events.add_blind_pick(
            BlindPick(
                time=time.time(),
                session=vote.session_id,
                seed=vote.seed,
                list_id=drafted.list_id,
                item_id=vote.item_id,
                position=vote.position,
                team=team,
            )
        )
        return Credit(team, "", receipt.is_stored())

    def reveal(self, wins: Sequence[int]) -> tuple[str, str]:
        """Who won a test, and whether that can be chance.

        Args:
            wins: how many picks went to each column.
        """
        test = sign_test(wins[0], wins[1])
        return _result(test, [tr(column.title) for column in self._service.columns]), verdict(test)


def _result(test: SignTest, titles: Sequence[str]) -> str:
    if test.wins == test.losses:
        return tr("A draw: {count} of your picks were drafted by each model.", count=test.wins)
    winner, loser = titles if test.wins > test.losses else reversed(titles)
    more, fewer = max(test.wins, test.losses), min(test.wins, test.losses)
    return tr(
        "{winner} won {more} to {fewer} against {loser}.",
        winner=winner,
        more=more,
        fewer=fewer,
        loser=loser,
    )
