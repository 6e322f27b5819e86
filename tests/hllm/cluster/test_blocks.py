"""Which rows become which file: the same in every run, each row once, what is there is known."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hllm.cluster.blocks import (
    Block,
    Job,
    claim,
    plan_blocks,
    read_sources,
    unfinished,
)
from hllm.errors import DataError
from hllm.exchange import COMPLETE, JOB
from hllm.places import Place
from hllm.store import FORMAT

JOB_OF = {"fingerprint": "f", "dtype": "float16", "items_per_block": 20}


def sources(folder, keys=("title",)):
    return read_sources(Place.of(str(folder)), keys)


def test_every_row_is_in_one_block_and_no_block_in_two_files(items):
    blocks = plan_blocks(sources(items), 20)
    rows = [(b.path, row) for b in blocks for row in range(b.start, b.stop)]
    paths = [str(items / name) for name in ("a.parquet", "b.parquet")]
    assert rows == [(paths[0], row) for row in range(50)] + [(paths[1], row) for row in range(40)]
    assert [b.name for b in blocks] == [f"part-{n:06d}.parquet" for n in range(5)]


def test_one_file_is_a_data_set_too(items):
    assert [source.num_rows for source in sources(items / "a.parquet")] == [50]


def write(path, **columns):
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "title": ["x"]}, "no column 'item_id' among id, title"),
        ({"item_id": ["a"], "name": ["x"]}, "no column 'title', of which the model reads texts"),
        ({"item_id": ["a"], "title": [1.5]}, "title is double, neither text nor whole numbers"),
        ({"item_id": [["a"]], "title": ["x"]}, "item_id is list<.*>, neither"),
        ({"item_id": pa.array([], pa.string()), "title": pa.array([], pa.string())}, "no items"),
    ],
)
def test_items_that_cannot_be_read_are_one_sentence(tmp_path, columns, message):
    write(tmp_path / "x.parquet", **columns)
    with pytest.raises(DataError, match=message):
        sources(tmp_path)


def test_no_and_damaged_files_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match=r"There is no .*no: check --items"):
        sources(tmp_path / "no")
    with pytest.raises(DataError, match="holds no Parquet"):
        sources(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(DataError, match=r"x.parquet cannot be read or written \("):
        sources(tmp_path)


def test_text_of_any_string_type_and_numbers_are_read(tmp_path):
    words = pa.array(["x"])
    for number, kind in enumerate(
        [pa.large_string(), pa.int64(), pa.dictionary(pa.int8(), pa.string())]
    ):
        ids = pa.array([7]) if pa.types.is_integer(kind) else words
        write(tmp_path / f"{number}.parquet", item_id=ids.cast(kind), title=words)
    assert len(sources(tmp_path)) == 3


def test_a_column_that_files_lack_is_said_once(tmp_path, caplog):
    for number in range(3):
        write(tmp_path / f"{number}.parquet", item_id=[f"i{number}"], title=["x"])
    write(tmp_path / "3.parquet", item_id=["i3"], title=["x"], brand=["y"])
    assert len(sources(tmp_path, ("title", "brand"))) == 4
    (record,) = caplog.records
    assert "3 of 4 files have no column 'brand', which the model reads" in record.getMessage()


def test_a_folder_is_claimed_once_and_for_one_job(items, tmp_path):
    output = Place.of(str(tmp_path / "out"))
    job = Job(**JOB_OF, sources=sources(items))
    assert claim(output, job) is False
    assert claim(output, job) is False
    output.child(COMPLETE).write_json({"items": 0, "blocks": 0})
    assert claim(output, job) is True
    other = Job(**JOB_OF | {"fingerprint": "g"}, sources=sources(items))
    with pytest.raises(DataError, match="begun with another fingerprint: give the model"):
        claim(output, other)
    write(items / "a.parquet", item_id=["new"], title=["x"])
    with pytest.raises(DataError, match="begun with another sources"):
        claim(output, Job(**JOB_OF, sources=sources(items)))


def test_a_folder_with_something_else_is_left_alone(tmp_path, items):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(DataError, match=r"no embeddings of such a job \(thesis.tex\)"):
        claim(Place.of(str(tmp_path / "out")), Job(**JOB_OF, sources=sources(items)))
    assert not (tmp_path / "out" / JOB).exists()


def test_only_whole_files_of_this_job_count_as_finished(tmp_path):
    block = Block(0, "/data/a.parquet", 0, 3)

    def made(rows=3, **metadata):
        own = {"format": FORMAT, "fingerprint": "f", "origin": block.origin}
        schema = pa.schema([("item_id", pa.string())], metadata=own | metadata)
        pq.write_table(pa.table([["x"] * rows], schema=schema), tmp_path / block.name)
        return unfinished(Place.of(str(tmp_path)), [block], "f") == []

    assert made()
    assert not made(rows=2)
    assert not made(fingerprint="g")
    assert not made(origin="b.parquet:0-3")
    assert made()
    whole = (tmp_path / block.name).read_bytes()
    (tmp_path / block.name).write_bytes(whole[:-1])
    assert unfinished(Place.of(str(tmp_path)), [block], "f") == [block]
    (tmp_path / block.name).unlink()
    assert unfinished(Place.of(str(tmp_path)), [block], "f") == [block]


def test_a_folder_that_was_moved_is_the_same_job(items, tmp_path):
    output = Place.of(str(tmp_path / "out"))
    claim(output, Job(**JOB_OF, sources=sources(items)))
    moved = items.rename(tmp_path / "elsewhere")
    assert claim(output, Job(**JOB_OF, sources=sources(moved))) is False
