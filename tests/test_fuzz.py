"""Odd files, records, requests and configurations without end: an answer or one sentence, always.

What once failed stays as an example. The long test tries 100,000 cases, the other a few hundred.
"""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.catalog import CatalogItem
from app.ingest.files import start_progress
from app.ingest.formats import Files, sources_of
from app.session import clean_browse, clean_click, clean_detail, clean_filter, clean_history
from hllm.errors import HLLMError
from hllm.model_folder import ModelFolder
from hllm.rows import read_interaction_rows
from hllm.tables import DEFAULT_FORMAT
from tests.faults import ROOT

CONFIG = json.loads((ROOT / "assets/books/model/config.json").read_text())
ROW = b"item_id,user_id,timestamp\n"
PIECES = [
    "item_id", "user_id", "timestamp", "title", ",", ";", "\t", "\n", "\r\n", '"', '""', "\\N", "1",
    "-1e9", "nan", "9" * 30, "2020-01-01", "\0", "\ufeff", "\u0130", "\U0001f600", "{", "}", "[",
    "]", "'", ":", "<b>", "<!--", "&amp;", ".a{top:0}", " ", "NaN", "null",
]  # fmt: skip
# A byte each: drawing a text at once, and not piece by piece, is most of what a case costs.
SIGNS = [*PIECES, *map(chr, range(32, 127)), "\u00e9", "\u0660", "\u202e", "\ud800", "\x7f"]
TEXT = st.binary(max_size=40).map(lambda drawn: "".join(SIGNS[n % len(SIGNS)] for n in drawn))
FILE = TEXT.map(lambda text: text.encode(errors="replace")) | st.binary(max_size=200)
HEADED = st.builds(lambda header, rest: header + rest, st.sampled_from(
    [b"item_id,title,price,tags,year\n", b"item_id,user_id,timestamp\n", ROW + b"a,u,1\n", b""]),
    FILE)  # fmt: skip
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = LEAF | st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
KEYS = st.sampled_from(
    "asin parent_asin title brand store author description feature features category categories "
    "price date images imageURL details rating_number user_id reviewerID timestamp".split()
)
# Most have what makes them an item or an interaction, so that the rest is read, too.
WHOLE = {"asin": "a", "parent_asin": "a", "title": "t"}
RATED = WHOLE | {"reviewerID": "u", "user_id": "u", "unixReviewTime": 1, "timestamp": 1}
RECORD = st.builds(lambda base, odd: base | odd, st.sampled_from([WHOLE, RATED, {}]),
                   st.dictionaries(KEYS | TEXT, VALUE, max_size=8))  # fmt: skip
ASKED = st.sampled_from(
    "text category sort cursor min_price max_price item_id source session_id rank history".split()
)
REQUEST = VALUE | st.dictionaries(ASKED, VALUE, max_size=6) | st.lists(TEXT, max_size=80)
CHANGES = st.dictionaries(st.sampled_from(sorted(CONFIG)) | TEXT, VALUE, min_size=1, max_size=2)


def written(folder, content):
    """A file with this content."""
    path = folder / "file"
    path.unlink(missing_ok=True)  # ext4 waits for the disk where one is cut off and written again
    path.write_bytes(content)
    return path


def imported(path, format_name, option="items"):
    """Items, interactions or problems that a file becomes."""
    (source,) = sources_of(format_name, Files(**{option: (path,)}))
    line = 0
    for record in source.read(path, start_progress(path), 0):
        assert record.line > line
        line = record.line
        converted, problem = source.convert_or_explain(record)
        assert bool(problem) == (converted is None)
        if isinstance(converted, CatalogItem):  # it can be stored
            json.dumps(converted.extra, allow_nan=False).encode()
            f"{converted.item_id}{converted.title}{converted.description}".encode()


def tables(folder, content):
    path = written(folder, content)
    for format_name, option in (("table", "items"), ("hllm", "interactions")):
        try:
            imported(path, format_name, option)
        except HLLMError:
            pass
    try:
        read_interaction_rows(path, DEFAULT_FORMAT, by_position=False)
    except HLLMError:
        pass


def records(folder, record):
    line = json.dumps(record).encode()
    path = written(folder, line)
    for format_name in ("amazon2014", "amazon2018", "amazon2023"):
        imported(path, format_name)
        imported(path, format_name, "interactions")


def requests(folder, value):
    clean_history(value, lambda ids: ids)
    clean_filter(value, lambda category: True)
    for clean in (clean_browse, clean_detail, clean_click):
        clean(value)


def configs(folder, changes):
    (folder / "config.json").unlink(missing_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    try:
        ModelFolder(folder)
    except HLLMError as error:
        assert "\n" not in str(error)


CASES = {
    "tables": (tables, HEADED, [
        ROW + b"a,u," + b"1" * 5000 + b"x", ROW + b"a,u," + b"9" * 400, ROW + b'a,"u\nb,"v\n',
        ROW + b"a" + b",x" * 6000, b'a"b,"c\n' * 50,
    ]),
    "records": (records, RECORD, [
        {"asin": "a", "title": "x" * 80 + "{" + ":" * 4001}, {"asin": "a", "price": 10**400},
        {"asin": "a", "title": "\ud800\0"}, {"parent_asin": "a", "details": "[" * 500 + "]" * 500},
        {"asin": "a", "title": "[" + "'" * 999 + "]"}, {"asin": "a", "x": float("nan")},
    ]),
    "requests": (requests, REQUEST, [[["a"]], {"min_price": 10**400}, {"rank": float("nan")}]),
    "configs": (configs, CHANGES, [
        {"auto_map": {"AutoConfig": "x.y"}}, {"item_config": []}, {"max_history": 10**400},
        {"text_keys": [[]]}, {"dtype": "__class__"},
    ]),
}  # fmt: skip


def fuzz(name, folder, count):
    check, strategy, known = CASES[name]

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=count < 1000,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(value):
        check(folder, value)

    for value in known:
        run = example(value)(run)
    run()


@pytest.mark.parametrize("name", CASES)
def test_nothing_odd_is_a_traceback(name, tmp_path):
    fuzz(name, tmp_path, 100)


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_nothing_odd_is_a_traceback_in_100_000_cases(name, tmp_path):
    fuzz(name, tmp_path, 25_000)
