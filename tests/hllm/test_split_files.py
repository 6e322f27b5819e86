"""Published splits: what the three files say is what is trained on and evaluated, nothing else."""

import pytest

from hllm.data import eval_cases, training_parts
from hllm.errors import DataError
from hllm.split_files import item_list, read_split_files
from hllm.split_options import SplitOptions
from hllm.splits import is_held_out, read_split, training_view
from hllm.tables import DEFAULT_FORMAT

FILES = SplitOptions(split="files")
AMAZON = {  # as benchmark/5core/last_out of Amazon Reviews 2023
    "train": "user_id,parent_asin,rating,timestamp\n"
    "u,b,5.0,1700000002000\nu,a,4.0,1700000001000\nv,b,5.0,1700000001500\n",
    "valid": "user_id,parent_asin,rating,timestamp\nu,c,1.0,1700000003000\nw,c,5.0,1700000003500\n",
    "test": "user_id,parent_asin,rating,timestamp\n"
    "u,new,5.0,1700000004000\nw,a,5.0,1700000004500\n",
}
WITH_HISTORY = {  # the same as last_out_w_his
    "train": "user_id,parent_asin,rating,timestamp,history\n"
    "u,a,4.0,1700000001000,\nu,b,5.0,1700000002000,a\nv,b,5.0,1700000001500,\n",
    "valid": "user_id,parent_asin,rating,timestamp,history\n"
    "u,c,1.0,1700000003000,a b\nw,c,5.0,1700000003500,\n",
    "test": "user_id,parent_asin,rating,timestamp,history\n"
    "u,new,5.0,1700000004000,a b c\nw,a,5.0,1700000004500,c\n",
}
HEADER = "user_id,history_item_title,item_title,history_item_id,item_id,history_item_sid,item_sid\n"


def minionerec(*rows):
    return HEADER + "".join(
        f'{user},"[\'x, y\']",t,"{history}",{item},"[\'<a_1>\']",<a_2>\n'
        for user, history, item in rows
    )


MINIONEREC = {
    "train": minionerec(
        ("A1", "[3]", 5), ("A1", "[3, 5]", 7), ("A2", "[5]", 3), ("A1", "[5, 7]", 3)
    ),
    "valid": minionerec(("A1", "[7, 3]", 9)),
    "test": minionerec(("A1", "[3, 9]", 5), ("A1", "[9, 5]", 11), ("A3", "[11]", 3)),
}


@pytest.fixture
def write(tmp_path):
    def written(tables):
        paths = [tmp_path / f"{name}.csv" for name in ("train", "valid", "test")]
        for path in paths:
            path.write_text(tables[path.stem], encoding="utf-8")
        return paths

    return written


def named(read, items):
    return [read.item_ids[item] for item in items]


def cases_of(read, phase):
    return [
        (read.user_ids[case.user], named(read, case.history), read.item_ids[case.target])
        for case in eval_cases(read, phase)
    ]


@pytest.mark.parametrize("tables", [AMAZON, WITH_HISTORY])
def test_amazon_reviews_2023(write, tables):
    read = read_split_files(*write(tables), DEFAULT_FORMAT, ["extra"])
    assert [named(read, part) for part in training_parts(read)] == [["a", "b"], ["b"]]
    assert cases_of(read, "valid") == [("u", ["a", "b"], "c")]
    assert cases_of(read, "test") == [("u", ["a", "b", "c"], "new"), ("w", ["c"], "a")]
    assert sorted(read.item_ids[1:-1]) == ["a", "b", "c", "new"] and read.item_ids[-1] == "extra"
    assert max(sequence.max() for sequence in read.sequences) == 4
    assert "3 interactions of 2 users for training" in read.parts.description
    assert "1 and 0 rows without a history left out; 1 and 1 targets are items new" in (
        read.parts.description
    )
    assert [read.user_ids[n] for n, new in enumerate(read.parts.new_users) if new] == ["w"]


def test_minionerec(write):
    read = read_split_files(*write(MINIONEREC), DEFAULT_FORMAT)
    parts = [named(read, part) for part in training_parts(read)]
    assert parts == [["3", "5", "7", "3"], ["5", "3"]]  # every sample once, as next items
    assert cases_of(read, "valid") == [("A1", ["7", "3"], "9")]
    assert cases_of(read, "test") == [
        ("A1", ["3", "9"], "5"), ("A1", ["9", "5"], "11"), ("A3", ["11"], "3"),
    ]  # fmt: skip


def test_a_history_that_goes_on_nowhere_begins_a_sequence(write):
    rows = (("A1", "[1]", 2), ("A1", "[8]", 9))
    read = read_split_files(*write(MINIONEREC | {"train": minionerec(*rows)}), DEFAULT_FORMAT)
    assert [named(read, part) for part in training_parts(read)] == [["1", "2"], ["8", "9"]]


def test_items_are_held_out_of_a_published_split_too(write):
    paths = write(MINIONEREC)
    seed = next(s for s in range(99) if [i for i in "357" if is_held_out(i, 0.3, s)] == ["7"])
    split = SplitOptions(split="files", held_out_items=0.3, split_seed=seed)
    view = training_view(read_split(paths[0], split, others=paths[1:]))
    assert [named(view, part) for part in training_parts(view)] == [["3", "5", "3"], ["5", "3"]]


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("valid", "user_id,timestamp\nu,1\n", r"valid\.csv: line 1: .* needs user_id, item_id or"),
        ("train", "user_id,item_id\nu,1\n", r"train\.csv: line 1: .*timestamp or history"),
        ("test", HEADER, r"test\.csv: has a header but no interactions"),
        ("test", "user_id,item_id,history\nu,,a\n", r"test\.csv: line 2: item_id is empty"),
        ("test", "user_id,item_id,history\nu,1,[3\n", r"line 2: '\[3' is no list"),
        ("test", "user_id,item_id,timestamp\nu,1,soon\n", r"line 2: 'soon'"),
        ("test", "user_id,item_id,timestamp\nA1,1,5\n", r"train\.csv: has no column timestamp"),
        ("test", "user_id,item_id,history\nu,1,\n", r"validation or test has no row with"),
    ],
)
def test_what_cannot_be_read_is_said(write, part, content, message):
    with pytest.raises(DataError, match=message):
        read_split_files(*write(MINIONEREC | {part: content}), DEFAULT_FORMAT)


def test_three_files_are_three(write):
    train, valid, _ = write(MINIONEREC)
    with pytest.raises(DataError, match="must be three files"):
        read_split_files(train, valid, train, DEFAULT_FORMAT)


@pytest.mark.parametrize("text", ["[1 2]", "['a' 'b']", "[1", "[[1]]", "['a]", "[a]b]"])
def test_no_list(text):
    with pytest.raises(ValueError, match="is no list of item ids"):
        item_list(text)


def test_lists():
    assert item_list("""['a b', "c,d", 7 ,x]""") == ["a b", "c,d", "7", "x"]
    assert item_list("[]") == []
