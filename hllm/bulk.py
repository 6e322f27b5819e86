"""Recommendations for a file of histories: written as they are made, continued after a stop.

What is done lies beside the output, in OUTPUT.unfinished, with a note in OUTPUT.unfinished.json of
how many users it holds and of what it was made from. The output appears when it is complete.
"""

import csv
import hashlib
import io
import json
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from hllm.atomic import atomic_text, sync
from hllm.errors import DataError
from hllm.histories import Histories
from hllm.recommend import Recommender
from hllm.textfile import read_lines

COLUMNS = ("user_id", "rank", "item_id", "score")
USERS_PER_BLOCK = 2048
SECONDS_PER_NOTE = 30.0

logger = logging.getLogger(__name__)


@dataclass
class Counts:
    """What was done.

    Attributes:
        users: read from the histories.
        unknown_items: items of histories without an embedding; left out of them.
        users_left_out: users of whose items none has one: they get no rows.
    """

    users: int = 0
    unknown_items: int = 0
    users_left_out: int = 0


def recommend_csv(
    recommender: Recommender, histories: Histories, output: TextIO, *, top_k: int
) -> Counts:
    """Write recommendations for every user to an open file.

    Args:
        recommender: a model with its catalogue.
        histories: of the users.
        output: gets a csv with COLUMNS; ranks begin at 1, scores are cosines.
        top_k: how many items a user at most.

    Raises:
        DataError: no item of any history has an embedding.
    """
    output.write(_header())
    counts = Counts()
    for text in _blocks(recommender, iter(histories), counts, top_k):
        output.write(text)
    return _checked(counts)


def recommend_file(
    recommender: Recommender, histories: Histories, output: Path, *, top_k: int, made_from: str
) -> Counts:
    """Write recommendations for every user to a file; a stopped run goes on from where it got to.

    Args:
        recommender: a model with its catalogue.
        histories: of the users.
        output: see recommend_csv; packed if it ends in ``.gz``.
        top_k: how many items a user at most.
        made_from: names model and embeddings: a run with others begins anew.

    Raises:
        DataError: no item of any history has an embedding.
        StorageError: the disk is full; what is done is kept.
    """
    shaped = f"{made_from} {histories.digest} {top_k}"
    work = _Unfinished(output, hashlib.sha256(shaped.encode()).hexdigest())
    counts, size = work.read()
    users = iter(histories)
    for _ in islice(users, counts.users):
        pass
    if counts.users:
        logger.info("%d users are done; the others follow", counts.users)
    with work.open(size) as file:
        noted = time.monotonic()
        for text in _blocks(recommender, users, counts, top_k):
            file.write(text)
            if time.monotonic() - noted > SECONDS_PER_NOTE:
                work.note(file, counts)
                noted = time.monotonic()
        work.note(file, counts)
    _checked(counts)
    with work.path.open(encoding="utf-8", newline="") as done, atomic_text(output) as file:
        shutil.copyfileobj(done, file)
    work.remove()
    return counts


def check_replaceable(output: Path) -> None:
    """Make sure that nothing but earlier recommendations is replaced.

    Raises:
        DataError: the file is there and holds something else, the histories for example.
    """
    if not output.is_file() or not output.stat().st_size:
        return
    try:
        first = next(read_lines(output)).text
    except DataError:
        first = ""
    if first != ",".join(COLUMNS):
        raise DataError(
            f"{output} is there and holds no recommendations: give another --output, or remove it."
        )


def _blocks(
    recommender: Recommender, users: Iterator[tuple[str, list[str]]], counts: Counts, top_k: int
) -> Iterator[str]:
    """The rows of USERS_PER_BLOCK users at a time."""
    with tqdm(initial=counts.users, unit=" users", desc="recommending") as bar:
        while block := list(islice(users, USERS_PER_BLOCK)):
            known = [[item for item in items if recommender.knows(item)] for _, items in block]
            pairs = [(user, items) for (user, _), items in zip(block, known, strict=True) if items]
            found = recommender.recommend_all([items for _, items in pairs], top_k=top_k)
            counts.users += len(block)
            counts.users_left_out += len(block) - len(pairs)
            counts.unknown_items += sum(len(items) for _, items in block) - sum(map(len, known))
            bar.update(len(block))
            yield _rows(
                (user, item.rank, item.item_id, f"{item.score:.6f}")
                for (user, _), items in zip(pairs, found, strict=True)
                for item in items
            )


def _rows(rows: Iterator[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _header() -> str:
    return ",".join(COLUMNS) + "\n"


def _checked(counts: Counts) -> Counts:
    if counts.users_left_out == counts.users:
        raise DataError(
            f"None of the {counts.users:,} users has an item with an embedding: are these the "
            "model's items? Embed them with  python -m hllm.embed."
        )
    return counts


class _Unfinished:
    """The rows that are done, and the note of how many users they are."""

    def __init__(self, output: Path, made_from: str) -> None:
        self.path = output.with_name(f"{output.name}.unfinished")
        self._note = output.with_name(f"{output.name}.unfinished.json")
        self._made_from = made_from

    def read(self) -> tuple[Counts, int]:
        """What is done, and how many bytes of the file that is; nothing if it is of another run."""
        try:
            values = json.loads(self._note.read_text(encoding="utf-8"))
            size = int(values["bytes"])
            if values["made_from"] == self._made_from and self.path.stat().st_size >= size:
                return Counts(**values["counts"]), size
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return Counts(), 0

    def open(self, size: int) -> TextIO:
        """Open the file behind what is done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not size:
            self._note.unlink(missing_ok=True)
            self.path.write_text(_header(), encoding="utf-8")
            size = len(_header())
        with self.path.open("r+b") as file:
            file.truncate(size)  # rows that no note counts
        return self.path.open("a", encoding="utf-8", newline="")

    def note(self, file: TextIO, counts: Counts) -> None:
        """Remember what is done."""
        file.flush()
        sync(self.path)
        size = self.path.stat().st_size
        values = {"made_from": self._made_from, "bytes": size, "counts": asdict(counts)}
        with atomic_text(self._note) as note:
            json.dump(values, note)

    def remove(self) -> None:
        self._note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
