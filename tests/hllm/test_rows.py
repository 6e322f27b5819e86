"""The rows of an interactions file: what is wrong with one is told by its line."""

import pytest

from hllm.errors import DataError
from hllm.rows import read_interaction_rows
from hllm.tables import DEFAULT_FORMAT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,user,timestamp\na,b,1\n", r"line 1: no column user_id"),
        ("item_id,user_id,timestamp\na,u,1\nb,u,soon\n", r"line 3: timestamp 'soon'"),
        ("item_id,user_id,timestamp\na,u,1\nb,u,\n", r"line 3: timestamp ''"),
        ("item_id,user_id,timestamp\n", r"no interactions"),
        ("", r"cannot be read as csv"),
        (
            'item_id,user_id,timestamp\nx,u,0\n"a,u,1\nb,u,2\n',
            r"line 3: a quote that opens in line 3 is not closed: it takes 2 lines",
        ),
        ("item_id,user_id,timestamp\na,u,1,\n", r"line 2: has 4 columns where the header has 3"),
        ("item_id,user_id,timestamp\na,u\n", r"line 2: has 2 columns where the header has 3"),
        ("item_id,user_id,timestamp\n,u,1\n", r"line 2: item_id is empty"),
        ("item_id,user_id,timestamp\na,\\N,1\n", r"line 2: user_id is empty"),
        ("a,u,1\nb,u,2\n", r"line 1: this line looks like data"),
    ],
)
def test_malformed_interactions_say_where_and_what_to_do(tmp_path, content, message):
    path = tmp_path / "i.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_interaction_rows(path, DEFAULT_FORMAT, by_position=False)


def test_ids_are_numbered_in_order_of_appearance(tmp_path):
    path = tmp_path / "i.csv"
    path.write_text("timestamp,item_id,user_id\n2,b,v\n1,a,u\n0,b,u\n")
    read = read_interaction_rows(path, DEFAULT_FORMAT, by_position=False)
    assert (list(read.item_number), list(read.user_number)) == (["b", "a"], ["v", "u"])
    assert (list(read.item_codes), list(read.user_codes)) == ([0, 1, 0], [0, 1, 1])
    assert read.timestamps == [2, 1, 0]
