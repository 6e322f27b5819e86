import numpy as np
import pytest

from hllm.errors import DataError
from hllm.training import data_facts
from hllm.training.data_facts import measure


@pytest.fixture
def pair(tmp_path):
    items = tmp_path / "items.csv"
    items.write_text(
        "item_id,title,name,price,link,sku\n"
        'i1,The Cat,The Cat,"1,50",https://a,A1\n'
        "i2,Dog,Dog,2,http://b,A2\n"
        "i3,the bird sings,,free,www.c,\n"
        "i4,,,,,\n"
    )
    interactions = tmp_path / "interactions.csv"
    rows = ["i1,u,1", "i2,u,2", "i1,u,3", "i2,v,1"]
    interactions.write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")
    return items, interactions


def test_measures_what_is_there(pair):
    facts = measure(*pair)
    assert (facts.num_items, facts.num_special_tokens) == (4, 2)  # [CLS] and [SEP]
    assert sorted(facts.history_lengths) == [1, 3]
    title, name, price, link, sku = facts.fields
    assert (title.num_filled, title.num_distinct, title.repeats) == (3, 3, "")
    # MiniLM reads "title : the cat" as words; the empty text has none of its own.
    assert title.tokens.tolist() == [4, 3, 5, 0]
    assert (name.num_filled, name.repeats) == (2, "title")
    assert (price.numbers, price.repeats) == (2 / 3, "")
    assert (link.addresses, link.numbers) == (1.0, 0.0)
    assert (sku.single_words, title.single_words) == (1.0, 1 / 3)


def test_lengths_are_those_of_a_sample(pair, monkeypatch):
    monkeypatch.setattr(data_facts, "SAMPLE", 2)
    facts = measure(*pair)
    assert [len(field.tokens) for field in facts.fields] == [2] * 5
    assert facts.fields[0].num_filled == 3  # of all items
    assert np.array_equal(measure(*pair).fields[0].tokens, facts.fields[0].tokens)


def test_items_without_a_row_are_an_error(pair):
    pair[0].write_text("item_id,title\n")
    with pytest.raises(DataError, match="holds no items"):
        measure(*pair)
