"""Options chosen from facts: the values for data of known shape, and the printed reasons."""

import numpy as np
import pytest

from hllm.errors import DataError
from hllm.training.auto_options import choose_options
from hllm.training.data_facts import DataFacts, FieldFacts


def field(name, tokens, **more):
    values = {
        "num_filled": 1000,
        "num_distinct": 900,
        "numbers": 0.0,
        "single_words": 0.0,
        "addresses": 0.0,
        "repeats": "",
    }
    return FieldFacts(name=name, tokens=np.asarray(tokens), **values | more)


TITLE = field("title", [10] * 90 + [25] * 10)


def facts(*fields, num_items=1000, lengths=(8,) * 100):
    return DataFacts(
        num_items=num_items,
        fields=fields or (TITLE,),
        num_special_tokens=2,
        history_lengths=np.array(lengths),
    )


def options(*fields, **more):
    return choose_options(facts(*fields, **more)).options


def test_the_games_get_the_values_of_their_measured_preset():
    lengths = [7] * 45_000 + [22] * 5_546  # 50,546 users
    title = field("title", TITLE.tokens, num_filled=16_859)
    chosen = options(title, num_items=16_859, lengths=lengths)
    assert chosen == {
        "item_training": "frozen",
        "text_keys": ["title"],
        "item_prompt": "",
        "max_text_tokens": 32,  # 25 tokens and 2 special ones, up to a multiple of 8
        "max_history": 25,  # 21 items before the last one, up to a multiple of 5
        "num_negatives": 4096,
        "batch_size": 256,
        "epochs": 11,  # 198 steps an epoch, 2,000 in all
        "patience": 3,
        "eval_every": 0,
    }


def test_fields_are_read_short_ones_first_behind_the_title():
    description = field("description", [60] * 100)
    creator = field("creator", [3] * 100)
    chosen = options(description, TITLE, creator)
    assert chosen["text_keys"] == ["title", "creator", "description"]
    assert chosen["max_text_tokens"] == 96  # 25 + 3 + 60 + 2 = 90


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_filled": 99}, "x: filled for 9% of items only: left out"),
        ({"num_filled": 3}, "x: filled for less than 1% of items only: left out"),
        ({"num_distinct": 1}, "x: filled for 100% of items, the same text for all: left out"),
        ({"numbers": 0.95}, "x: filled for 100% of items, numbers: left out"),
        ({"addresses": 1.0}, "x: filled for 100% of items, addresses: left out"),
        ({"repeats": "title"}, "x: filled for 100% of items, the same texts as title: left out"),
        (
            {"single_words": 1.0, "num_distinct": 1000},
            "x: filled for 100% of items, another word for every item (an id): left out",
        ),
    ],
)
def test_what_is_not_worth_reading_is_left_out_and_said(changes, reason):
    choice = choose_options(facts(TITLE, field("x", [5] * 100, **changes)))
    assert choice.options["text_keys"] == ["title"]
    assert reason in choice.reasons


@pytest.mark.parametrize(
    "changes",
    [
        {"num_filled": 100},
        {"numbers": 0.9},
        {"single_words": 1.0},  # genres: one word each, but not an id
        {"repeats": "y", "num_filled": 1000},  # y itself is left out
    ],
)
def test_what_is_worth_reading_is_read(changes):
    y = field("y", [5] * 100, num_distinct=1)
    chosen = options(TITLE, y, field("x", [5] * 100, **changes))
    assert chosen["text_keys"] == ["title", "x"]


def test_titles_of_one_word_or_number_are_still_titles():
    title = field("title", [4] * 100, single_words=1.0, numbers=1.0, num_distinct=1000)
    assert options(title)["text_keys"] == ["title"]


def test_reasons_say_what_was_measured():
    reasons = choose_options(facts(TITLE, field("description", [100] * 50 + [300] * 50))).reasons
    assert "title: filled for 100% of items, 10 tokens (95th percentile 25): read" in reasons
    # 10 + 300 + 2, and 25 + 300 + 2 where both are long
    assert any(
        reason.startswith("max_text_tokens: 128, 95% of the texts have up to 327 tokens; 50% are")
        for reason in reasons
    )


def test_nothing_to_read_is_an_error_with_the_reasons():
    with pytest.raises(DataError, match=r"title: filled for 5% of items only.*--preset FILE"):
        choose_options(facts(field("title", [5] * 100, num_filled=50)))


@pytest.mark.parametrize(
    ("length", "value"), [(2, 10), (11, 10), (12, 15), (40, 40), (51, 50), (900, 50)]
)
def test_history_follows_the_lengths_within_bounds(length, value):
    assert options(lengths=[length] * 10)["max_history"] == value


@pytest.mark.parametrize(
    ("num_items", "value"),
    [(3, 16), (31, 16), (32, 32), (1397, 1024), (4096, 4096), (700_000, 4096)],
)
def test_negatives_follow_the_size_of_the_catalogue(num_items, value):
    title = field("title", [10] * 3, num_filled=num_items, num_distinct=num_items)
    assert options(title, num_items=num_items)["num_negatives"] == value


@pytest.mark.parametrize(
    ("users", "batch", "epochs", "patience", "every"),
    [
        (1, 32, 30, 5, 0),  # one step an epoch
        (3_000, 32, 22, 3, 0),  # 94 steps an epoch
        (3_200, 64, 30, 3, 0),  # 50 steps an epoch
        (1_000_000, 256, 2, 3, 1000),  # 3,907 steps an epoch
    ],
)
def test_steps_follow_the_number_of_sequences(users, batch, epochs, patience, every):
    chosen = options(lengths=[8] * users)
    names = ("batch_size", "epochs", "patience", "eval_every")
    assert [chosen[name] for name in names] == [batch, epochs, patience, every]


def test_long_histories_are_several_sequences():
    # 102 items to train on and max_history 50: two chunks of 51 each, 6,400 in all.
    assert options(lengths=[104] * 3_200)["batch_size"] == 128


def test_users_without_a_training_target_are_no_sequences():
    assert options(lengths=[3] * 100_000 + [8] * 100)["batch_size"] == 32
