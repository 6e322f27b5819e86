"""The two columns of recommendations: recommenders that load in the background and are compared.

A column never stops the page: while its recommender loads, or if it cannot be loaded or fails on a
history, the column says so in one sentence and the other column goes on.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from app.languages import marked, tr, tr_parts, tr_reason
from hllm.errors import HLLMError

if TYPE_CHECKING:  # At run time this would import torch, for which the page must not wait.
    import numpy as np

    from hllm.recommend import ItemRanker, Recommendations
    from hllm.serving.history_encoder import EncoderCounts
    from hllm.serving.new_items import Item
    from hllm.serving.ranker import Stages

Found = TypeVar("Found")
State = Literal["loading", "ready", "failed"]
HLLM_DOES = marked("Trained on histories: predicts your next choice.")
BASELINE_DOES = marked("Not trained on histories: finds similar texts.")
_DOES = {"hllm": HLLM_DOES, "baseline": BASELINE_DOES}
COMPARE_DEPTH = 100
LIST_LENGTH = 10  # how many items a list of the page shows, and a program gets by default

WARMING_UP = marked("{model} is warming up; recommendations follow in a few seconds.")
NOT_LOADED = marked("{model} could not be loaded; the reason is in the log of the app.")
FAILED = marked("{model} failed on this history; the reason is in the log of the app.")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ColumnInfo:
    """What is shown above a column.

    Attributes:
        key: "hllm" or "baseline".
        title: name for people, also while nothing is loaded.
        state: whether the recommender answers.
        message: the reason and the way on, where it does not.
        model, precision, device: what runs, from the recommender; empty until it is loaded.
        stages: of an HLLM that is loaded.
        num_items: how many items it ranks.
        reads: the fields of an item that it reads, empty until it is loaded.
        note: what else to say of it, as a sentence; mostly empty.
        does: what it does, for people who have read nothing about it.
        numbers: recall@10 and ndcg@10 of an evaluation, or that there was none; "" says nothing.
    """

    key: str
    title: str
    state: State
    message: str = ""
    model: str = ""
    precision: str = ""
    device: str = ""
    stages: Stages | None = None
    num_items: int = 0
    reads: tuple[str, ...] = ()
    note: str = ""
    does: str = ""
    numbers: str = ""


@dataclass(frozen=True)
class ColumnAnswer:
    """What one column says about a history; `result` is None where it has no answer."""

    info: ColumnInfo
    result: Recommendations | None


class Column:
    """One recommender of the page, from the moment the app starts.

    Args:
        key: "hllm" of the left column, "baseline" of the right one, whatever stands there.
        title: name for people.
        load: gives the recommender.
        does: see ColumnInfo; default: what stands in a column of that key by default.
        numbers: see ColumnInfo.

    Attributes:
        note: shown above its answers.
        model_folder: from which a program can open the same model; None where there is none.
        embeddings: of the catalogue, where they are not those of the model's folder.

    Whoever loads the recommender may set them.
    """

    def __init__(
        self,
        key: str,
        title: str,
        load: Callable[[], ItemRanker],
        *,
        does: str = "",
        numbers: str = "",
    ) -> None:
        self.key = key
        self.title = title
        self.does = does or _DOES[key]
        self.numbers = numbers
        self.note = ""
        self.model_folder: Path | None = None
        self.embeddings: Path | None = None
        self._load = load
        self._recommender: ItemRanker | None = None
        self._message = ""
        self._loaded = threading.Event()

    def at(self, key: str) -> Column:
        """This column as it is now, in the place of another one, for one question."""
        was_loaded = self.is_loaded  # before it is copied: it may be loaded meanwhile
        view = copy.copy(self)
        view.key = key
        if not was_loaded:
            view._recommender, view._loaded = None, threading.Event()
        return view

    def say_meanwhile(self, message: str) -> None:
        """Say what it waits for in the place of an answer, in the language of the question."""
        self._message = message

    def fail(self, message: str) -> None:
        """Say why there will be no answer."""
        self._message = message
        self._loaded.set()

    @property
    def is_loaded(self) -> bool:
        """Whether loading is over, well or badly."""
        return self._loaded.is_set()

    @property
    def has_answers(self) -> bool:
        """Whether it was loaded, and well."""
        return self._recommender is not None

    def load_or_raise(self) -> None:
        """Load the recommender.

        Raises:
            HLLMError: it cannot be loaded.
        """
        self._recommender = self._load()
        self._loaded.set()

    def load(self) -> None:
        """Load the recommender; what goes wrong is kept as the message of the column."""
        try:
            self.load_or_raise()
        except HLLMError as error:
            logger.warning("%s: %s", self.title, error)
            self._message = str(error)
        except Exception:
            logger.exception("%s could not be loaded", self.title)
            self._message = NOT_LOADED
        finally:
            self._loaded.set()

    def wait(self) -> ItemRanker:
        """The recommender, once it is loaded.

        Raises:
            HLLMError: it could not be loaded.
        """
        self._loaded.wait()
        if self._recommender is None:
            raise HLLMError(self._reason())
        return self._recommender

    def info(self) -> ColumnInfo:
        """Describe the column as it is now."""
        recommender, title = self._recommender, tr(self.title)
        if recommender is not None:
            return ColumnInfo(
                self.key,
                title,
                "ready",
                model=recommender.model,
                precision=recommender.precision,
                device=recommender.device,
                stages=recommender.stages(),
                num_items=recommender.num_items,
                reads=recommender.text_keys,
                note=self.note,
                does=tr(self.does),
                numbers=tr_parts(self.numbers),
            )
        meanwhile = self._message or tr(WARMING_UP, model=title)
        return ColumnInfo(
            self.key,
            title,
            "failed" if self._loaded.is_set() else "loading",
            self._reason() if self._loaded.is_set() else meanwhile,
            does=tr(self.does),
            numbers=tr_parts(self.numbers),
        )

    def _reason(self) -> str:
        """Why it could not be loaded."""
        if self._message == NOT_LOADED:
            return tr(NOT_LOADED, model=tr(self.title))
        return tr_reason(self._message)

    def counts(self) -> EncoderCounts | None:
        """The work of its User LLM; None: it has none, or is not loaded."""
        return self._recommender.counts() if self._recommender else None

    def ask(
        self,
        history: Sequence[Item],
        top_k: int,
        allowed: Callable[[ItemRanker], np.ndarray] | None = None,
        reranking: Callable[[ItemRanker], Mapping[str, Any]] | None = None,
    ) -> ColumnAnswer:
        """Recommend for a history that is not empty, or say why not.

        Args:
            history: items, oldest first.
            top_k: how many items at most.
            allowed: gives the rows of a recommender that may be found; None: all.
            reranking: gives the options of `recommend` that re-rank; None: nothing is re-ranked.
        """

        def recommend(recommender: ItemRanker) -> Recommendations:
            rows = None if allowed is None else allowed(recommender)
            options = {} if reranking is None else reranking(recommender)
            return recommender.recommend(history, top_k=top_k, allowed=rows, **options)

        return ColumnAnswer(*self.question(recommend))

    def question(self, ask: Callable[[ItemRanker], Found]) -> tuple[ColumnInfo, Found | None]:
        """Ask the recommender something; the column says why where there is no answer.

        Args:
            ask: puts the question to the recommender.
        """
        info = self.info()
        if self._recommender is None:
            return info, None
        try:
            return info, ask(self._recommender)
        except HLLMError as error:
            message = tr_reason(error)
        except Exception:
            logger.exception("%s failed", self.title)
            message = tr(FAILED, model=info.title)
        return ColumnInfo(
            self.key, info.title, "failed", message, does=info.does, numbers=info.numbers
        ), None


def load_in_background(columns: Sequence[Column]) -> threading.Thread:
    """Load recommenders one after the other, in a thread that does not hold the app up."""

    def load_all() -> None:
        for column in columns:
            column.load()

    thread = threading.Thread(target=load_all, name="load-recommenders", daemon=True)
    thread.start()
    return thread


def ranks_of(answer: ColumnAnswer) -> dict[str, int] | None:
    """Rank by item id, or None where the column has no answer to compare with."""
    if answer.result is None:
        return None
    return {item.item_id: item.rank for item in answer.result.items}
