import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hllm import rows as rows_of_a_file
from hllm.data import (
    Interactions,
    eval_cases,
    item_fields,
    popularity,
    read_interactions,
    read_items,
    train_chunks,
    training_parts,
)
from hllm.errors import DataError
from hllm.tables import CsvFormat, CsvTable


def write(path, content):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")
    return path


def make(*sequences):
    arrays = [np.array(sequence, dtype=np.int64) for sequence in sequences]
    items = max((int(a.max()) for a in arrays if len(a)), default=0)
    users = [f"u{number}" for number in range(len(arrays))]
    ids = ["[PAD]", *(f"i{number}" for number in range(1, items + 1))]
    return Interactions(ids, users, np.arange(1, len(users) + 1), arrays)


@pytest.mark.parametrize("name", ["interactions.csv", "interactions.csv.gz"])
def test_sequences_in_order_of_time(tmp_path, name):
    path = write(
        tmp_path / name, "item_id,user_id,timestamp\nb,anna,30\na,bob,10\n007,anna,20\nb,bob,5\n"
    )
    read = read_interactions(path)
    assert read.item_ids == ["[PAD]", "b", "a", "007"]  # in order of the file
    assert read.user_ids == ["bob", "anna"]  # in order of their first interaction
    assert read.user_indices.tolist() == [2, 1]
    assert [s.tolist() for s in read.sequences] == [[1, 2], [3, 1]]
    assert read.num_items == 4


def test_columns_in_any_order_by_default_by_position_for_the_reference(tmp_path):
    path = write(tmp_path / "i.csv", "user_id,item_id,timestamp\nu,i,1\n")
    assert read_interactions(path).user_ids == ["u"]
    assert read_interactions(path, reference_compatible=True).user_ids == ["i"]


def test_equal_times_keep_the_order_of_the_file(tmp_path):
    rows = "".join(f"i{number},u,7\n" for number in range(500))
    path = write(tmp_path / "i.csv", f"item_id,user_id,timestamp\n{rows}")
    assert read_interactions(path).sequences[0].tolist() == list(range(1, 501))


def test_large_timestamps_are_exact(tmp_path):
    big = 2**60
    path = write(tmp_path / "i.csv", f"item_id,user_id,timestamp\na,u,{big + 1}\nb,u,{big}\n")
    assert read_interactions(path).sequences[0].tolist() == [2, 1]


@pytest.mark.parametrize(
    "times",
    [
        ["2020-07-05 05:27:09.900", "2020-07-05 05:27:09.100", "2020-07-05 05:27:09.500"],
        ["2020-07-05T05:27:09.000000003Z", "2020-07-05T05:27:09.000000001Z",
         "2020-07-05T07:27:09.000000002+02:00"],
        ["1598930863.599", "1598930863.1", "1598930863.25"],
        ["1598930863599000003", "1598930863599000001", "1598930863599000001.5"],
        ["2020-07-06", "2020-07-05", "2020-07-05 12:00"],
        ["1e9", "5", "5.5"],
    ],
)  # fmt: skip
def test_every_digit_of_a_time_counts(tmp_path, times):
    rows = "".join(f"i{number},u,{moment}\n" for number, moment in enumerate(times))
    path = write(tmp_path / "i.csv", f"item_id,user_id,timestamp\n{rows}")
    assert read_interactions(path).sequences[0].tolist() == [2, 3, 1]
    assert read_interactions(path).item_ids[1:] == ["i0", "i1", "i2"]


def test_other_delimiters_and_encodings(tmp_path):
    form = CsvFormat(encoding="latin-1", delimiter=";")
    items = tmp_path / "items.csv"
    items.write_bytes("item_id;title\nCafé;a\nCafè;b\n".encode("latin-1"))
    assert read_items(items, form=form) == {"Café": {"title": "a"}, "Cafè": {"title": "b"}}
    path = tmp_path / "i.csv"
    path.write_bytes("item_id;user_id;timestamp\nCafé;René;1\nCafé;Renè;2\n".encode("latin-1"))
    assert len(read_interactions(path, form=form).user_ids) == 2
    with pytest.raises(DataError, match=r"line 2: byte 0xe9 is not UTF-8: .*--encoding"):
        read_interactions(path, form=CsvFormat(delimiter=";"))
    typed = read_items(items, form=form, reference_compatible=True)
    assert typed == {"Café": {"title": "a"}, "Cafè": {"title": "b"}}


def test_extra_items_come_last_once(tmp_path):
    path = write(tmp_path / "i.csv", "item_id,user_id,timestamp\na,u,1\n")
    assert read_interactions(path, extra_item_ids=["z", "a"]).item_ids == ["[PAD]", "a", "z"]


def test_ids_that_look_missing_are_ids(tmp_path):
    path = write(tmp_path / "i.csv", "item_id,user_id,timestamp\nNA,null,1\nnan,null,2\n")
    read = read_interactions(path)
    assert (read.item_ids[1:], read.user_ids) == (["NA", "nan"], ["null"])


def test_missing_damaged_and_unnamed_files(tmp_path):
    with pytest.raises(DataError, match=r"no such file"):
        read_interactions(tmp_path / "nowhere.csv")
    broken = tmp_path / "i.csv.gz"
    broken.write_bytes(gzip.compress(b"item_id,user_id,timestamp\na,u,1\n" * 99)[:-20])
    with pytest.raises(DataError, match=r"i\.csv\.gz: cannot be read"):
        read_interactions(broken)
    with pytest.raises(DataError, match=r"no column 'item_id' among id, title"):
        read_items(write(tmp_path / "items.csv", "id,title\n1,x\n"))


def test_items_are_text_as_written(tmp_path):
    path = write(
        tmp_path / "items.csv",
        'item_id,title,year\n001,None,1999\n2,"a, ""b""\nc",\n001,NA,2000\n',
    )
    assert read_items(path) == {
        "001": {"title": "NA", "year": "2000"},  # the last row counts
        "2": {"title": 'a, "b"\nc'},
    }


def test_items_typed_as_the_reference_reads_them(tmp_path):
    path = write(tmp_path / "items.csv", "item_id,title,year\n001,None,1999\n2,x,\n")
    assert read_items(path, reference_compatible=True) == {
        "001": {"year": 1999.0},
        "2": {"title": "x"},
    }


def test_fields_by_item_index():
    read = make([1, 2])
    assert item_fields(read, {"i2": {"title": "x"}, "other": {}}) == [None, None, {"title": "x"}]


def test_ids_that_do_not_meet(caplog):
    read = make([1, 2])
    with pytest.raises(DataError, match=r"none of the 2 items .*'i1', 'i2' .*'i1\.0'"):
        item_fields(read, {"i1.0": {"title": "x"}, "i2.0": {"title": "y"}})
    assert not caplog.messages
    item_fields(read, {"i1": {}, "other": {}})
    assert "1 of 2 items of the interactions (50.0%) have no row" in caplog.text
    assert "'i2'" in caplog.text and "'other'" in caplog.text


def test_repeated_item_ids_are_named(tmp_path, caplog):
    content = "item_id,title\na,1\nb,2\na,3\n"
    assert read_items(write(tmp_path / "items.csv", content))["a"] == {"title": "3"}
    assert "1 item ids are there more than once" in caplog.text
    assert "'a' (lines 2 and 4)" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,title\na,Alpha,\n", r"line 2: has 3 columns where the header has 2"),
        ("item_id,title\na,Alpha\n,Beta\n", r"line 3: item_id is empty"),
        ('item_id,title\na,"Alpha\nb,Beta\nc,Gamma\n', r"a quote that opens in line 2"),
        ("1,Alpha\n2,Beta\n", r"line 1: no column 'item_id' .*looks like data"),
    ],
)
@pytest.mark.parametrize("reference_compatible", [False, True])
def test_malformed_items_say_where(tmp_path, content, message, reference_compatible):
    with pytest.raises(DataError, match=message):
        read_items(write(tmp_path / "i.csv", content), reference_compatible=reference_compatible)


def test_leave_one_out_cases():
    read = make([1, 2, 3, 4], [1, 2], [1])
    test = [(c.user, c.history.tolist(), c.target) for c in eval_cases(read, "test")]
    valid = [(c.user, c.history.tolist(), c.target) for c in eval_cases(read, "valid")]
    assert test == [(0, [1, 2, 3], 4), (1, [1], 2)]
    assert valid == [(0, [1, 2], 3)]
    with pytest.raises(ValueError, match="'train': choose 'valid' or 'test'"):
        eval_cases(read, "train")


def test_popularity_counts_the_training_part_only():
    read = make([1, 1, 2, 3, 4], [2, 3], [1])
    assert [part.tolist() for part in training_parts(read)] == [[1, 1, 2]]
    assert popularity(read).tolist() == [0, 2, 1, 0, 0]
    assert popularity(make([1, 2])).tolist() == [0, 0, 0]


def test_chunks_drop_the_oldest_remainder():
    part = np.arange(1, 10)
    assert [c.tolist() for c in train_chunks(part, 3)] == [[2, 3, 4, 5], [6, 7, 8, 9]]
    assert [c.tolist() for c in train_chunks(part, 3, data_split=False)] == [[6, 7, 8, 9]]
    assert [c.tolist() for c in train_chunks(part, 8)] == [list(range(1, 10))]
    assert train_chunks(np.array([], dtype=np.int64), 3) == []


@given(st.integers(0, 60), st.integers(1, 12), st.booleans())
def test_chunks_are_a_suffix_of_the_training_part(length, max_history, data_split):
    training = np.arange(1, length + 1)
    chunks = train_chunks(training, max_history, data_split=data_split)
    assert all(1 <= len(chunk) <= max_history + 1 for chunk in chunks)
    joined = np.concatenate([np.zeros(0, dtype=np.int64), *chunks])
    assert joined.tolist() == training[len(training) - len(joined) :].tolist()
    if data_split:
        assert len(training) - len(joined) <= max_history


CELLS = st.sampled_from(["A", "B", "", " ", r"\N", '"C"', '"D', "7", "2020-01-01", "x"])
ROWS = st.lists(
    st.lists(CELLS, min_size=2, max_size=4).map(",".join) | st.just("A,B,7"), max_size=9
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_interactions_at_once_are_those_one_by_one(tmp_path, rows):
    path = tmp_path / "interactions.csv"
    path.write_text("\n".join(["item_id,user_id,timestamp", *rows]) + "\n")

    def found():
        try:
            read = read_interactions(path)
        except DataError as error:
            return str(error)
        return read.item_ids, read.user_ids, [list(items) for items in read.sequences]

    at_once = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_of_a_file, "_at_once", lambda rows, places: None)
        patch.setattr(CsvTable, "_at_once", lambda table, block: None)
        assert found() == at_once


@pytest.mark.parametrize("reference_compatible", [False, True])
def test_a_delimiter_of_two_characters(tmp_path, reference_compatible):
    form = CsvFormat(delimiter="::", quote="")
    items, path = tmp_path / "movies.dat", tmp_path / "ratings.dat"
    items.write_text('item_id::title\n1::"Great" Cats, the (1998)\n2::Emma: a novel\n')
    path.write_text("item_id::user_id::timestamp\n1::7::20\n2::7::10\n")
    assert read_items(items, form=form, reference_compatible=reference_compatible) == {
        "1": {"title": '"Great" Cats, the (1998)'},
        "2": {"title": "Emma: a novel"},
    }
    read = read_interactions(path, form=form, reference_compatible=reference_compatible)
    assert [read.item_ids[item] for item in read.sequences[0]] == ["2", "1"]
