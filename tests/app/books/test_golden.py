"""What the built-in models recommend for 50 histories, as it was when they were put in.

An upgrade of a library, another processor or a change of the code must not move it. If a model or
the books change on purpose:  python tests/app/books/test_golden.py  writes golden.json anew.
"""

import json
import random
from pathlib import Path

import pytest

from app.books.facts import load_books
from app.catalog import text_fields
from app.opening import BUILT_IN_BASELINE, BUILT_IN_MODELS
from hllm.baselines.text_recommender import load_text_baseline
from hllm.recommend import load_hllm

GOLDEN = Path(__file__).with_name("golden.json")
NUM_HISTORIES, TOP_K, MAX_HISTORY = 50, 5, 50
TOLERANCE = 2e-4  # of a cosine: sums in another order differ by less


def recommenders():
    fields = [(book.item_id, text_fields(book.as_item())) for book in load_books()]
    return {
        "hllm": load_hllm(BUILT_IN_MODELS[0], fields=fields),
        "baseline": load_text_baseline(BUILT_IN_BASELINE, fields=fields),
    }


def answers(recommender, histories):
    """Ids and scores, best first, of every history."""
    found = [recommender.recommend(history, top_k=TOP_K).items for history in histories]
    return [[[item.item_id, round(item.score, 6)] for item in items] for items in found]


@pytest.mark.parametrize("name", ["hllm", "baseline"])
def test_the_built_in_models_recommend_what_they_always_did(name):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden["histories"]) == len(golden[name]) == NUM_HISTORIES
    now = answers(recommenders()[name], golden["histories"])
    for history, before, after in zip(golden["histories"], golden[name], now, strict=True):
        assert [score for _, score in after] == pytest.approx(
            [score for _, score in before], abs=TOLERANCE
        ), history
        scores = dict(before)
        for item_id, score in after:  # those of nearly one score may change places
            is_last = score < before[-1][1] + TOLERANCE
            assert is_last or scores.get(item_id, 9.0) == pytest.approx(score, abs=TOLERANCE), (
                history
            )


def write():
    ids = [book.item_id for book in load_books()]
    chance = random.Random(17)
    lengths = [1 + number * (MAX_HISTORY - 1) // (NUM_HISTORIES - 1) for number in range(50)]
    histories = [chance.sample(ids, min(length, MAX_HISTORY)) for length in lengths]
    values = {"histories": histories}
    values |= {name: answers(model, histories) for name, model in recommenders().items()}
    parts = []
    for key, rows in values.items():
        lines = ",\n".join(map(json.dumps, rows))
        parts.append(f'"{key}": [\n{lines}\n]')
    GOLDEN.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
