"""The reader of csv files: what does not fit is told with its line, and nothing else is lost."""

import argparse

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hllm import textfile
from hllm.errors import DataError
from hllm.tables import MAX_COLUMNS, CsvFormat, CsvTable, add_csv_options, first_values


def read(path, **form):
    table = CsvTable(path, CsvFormat(**form))
    return table.names, [(row.line, row.problem or row.values) for row in table.rows]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "items.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_ends_of_lines(path, end, last):
    content = end.join(["", "item_id,title", "", "A1,One", "A2,Two"]) + end * last
    assert read(write(path, content)) == (
        ["item_id", "title"],
        [(4, ["A1", "One"]), (5, ["A2", "Two"])],
    )


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A2,Two,", "has 3 columns where the header has 2 (a delimiter at the end of the line"),
        ("A2,Two,more", "has 3 columns where the header has 2"),
        ("A2", "has 1 columns where the header has 2"),
        ('A2,"Two" too', "cannot be parsed: ',' expected after '\"'"),
        ("A2,Tw\x80o".encode("latin-1"), "byte 0x80 is not UTF-8: give the file's --encoding"),
        ("A2," + "x" * 33 * 2**20, "the line is longer than"),
    ],
)
def test_rows_that_do_not_fit_are_told_and_the_others_read(path, row, problem):
    row = row if isinstance(row, bytes) else row.encode()
    _, rows = read(write(path, b"item_id,title\nA1,One\n" + row + b"\nA3,Three\n"))
    assert [rows[0], rows[2]] == [(2, ["A1", "One"]), (4, ["A3", "Three"])]
    assert rows[1][0] == 3 and rows[1][1].startswith(problem)


def lines(first, last):
    return [f"A{number},Item {number},text {number}" for number in range(first, last)]


@pytest.mark.parametrize(
    ("bad", "where", "count"),
    [
        (['A2,Two,"half open', *lines(3, 40)], 3, 38),  # up to the end of the file
        (['A2,Two,"half open', *lines(3, 9), 'A9,Nine,"also', *lines(10, 40)], 3, 8),
        (['A2,Two,"half open', *lines(3, 9), 'A9,Nine,half"', *lines(10, 40)], 3, 8),
        (['A2,"Two,half open', *lines(3, 9), '"A9",Nine,x', *lines(10, 40)], 3, 8),
        (['A2,Two,"half open', *lines(3, 9), 'A9,"Nine, 9",x', *lines(10, 40)], 3, 8),
    ],
)
def test_a_quote_that_is_not_closed_costs_one_line(path, bad, where, count):
    content = "\n".join(["item_id,title,description", "A1,One,first", *bad]) + "\n"
    _, rows = read(write(path, content))
    problem = f"a quote that opens in line {where} is not closed: it takes {count} line"
    assert rows[1][0] == 3 and rows[1][1].startswith(problem), rows[1]
    found = [values[0] for _, values in rows if isinstance(values, list)]
    wanted = [f"A{number}" for number in range(1, 40) if number != 2]
    assert [item_id for item_id in wanted if item_id not in found] in ([], ["A9"])


def test_a_very_long_cell_ends(path):
    rows = [f"A{number},x" for number in range(2, 5000)]
    content = "\n".join(["item_id,title", 'A1,"open', *rows]) + "\n"
    _, found = read(write(path, content))
    assert found[0][1].startswith(
        "a quote that opens in line 2 is not closed: it takes 1,000 lines"
    )
    assert len(found) == 4999


def test_cells_of_several_lines_are_one(path):
    poem = "Roses are red,\nviolets are blue,\nsugar is sweet,\nand so"
    content = f'item_id,title,description\nA1,One,"{poem}"\nA2,"Two ""2""\r\n,x",\n'
    assert read(write(path, content))[1] == [
        (2, ["A1", "One", poem]),
        (6, ["A2", 'Two "2"\n,x', ""]),
    ]


def test_quotes_may_be_text(path):
    content = 'item_id\ttitle\nA1\t"half open\nA2\t5" wide\n'
    rows = read(write(path, content), delimiter="\t", quote="")[1]
    assert rows == [(2, ["A1", '"half open']), (3, ["A2", '5" wide'])]


def test_the_encoding_that_is_named_is_used(path):
    write(path, "item_id,title\nCafé,noir\n".encode("cp1252"))
    assert read(path, encoding="cp1252")[1] == [(2, ["Café", "noir"])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read as csv: it is empty"),
        ("a;b\n1;2\n", "line 1: has one column, but semicolons in it: give --delimiter ';'"),
        ("a\tb\n1\t2\n", "line 1: has one column, but tabs in it: give --delimiter tab"),
        ("a,a\n1,2\n", "line 1: column 'a' is there twice"),
        (",".join(map(str, range(MAX_COLUMNS + 1))), "line 1: has 5,001 columns"),
        ('a,"b\n', "line 1: a quote that opens in line 1 is not closed"),
        (b"a,\xff\n1,2\n", "line 1: byte 0xff is not UTF-8"),
    ],
)
def test_headers_that_are_none(path, content, message):
    with pytest.raises(DataError, match=message):
        read(write(path, content))


def test_atomic_files_name_types(tmp_path):
    path = write(tmp_path / "x.inter", "user_id:token\titem_id:token\ttimestamp:float\n1\t2\t3\n")
    assert read(path) == (["user_id", "item_id", "timestamp"], [(2, ["1", "2", "3"])])


def test_first_values(path):
    assert first_values(write(path, "\nA1,U1,100\n")) == ["A1", "U1", "100"]


def options(*arguments):
    parser = argparse.ArgumentParser()
    add_csv_options(parser)
    found = parser.parse_args(arguments)
    return CsvFormat.parse(found.delimiter, found.quote, found.encoding)


def test_options():
    assert options() == CsvFormat()
    assert options("--delimiter", "tab", "--quote", "none", "--encoding", "cp1252") == CsvFormat(
        "cp1252", "\t", ""
    )
    for arguments in (
        ["--delimiter", ":::"], ["--quote", "''"], ["--encoding", "klingon"],
        ["--encoding", "base64"], ["--delimiter", "'", "--quote", "'"], ["--delimiter", "\n"],
    ):  # fmt: skip
        with pytest.raises(DataError, match=arguments[0]):
            options(*arguments)


PIECES = ["A1", "é", "", " ", ",", ";", '"', '""', "\n", "\r\n", "\r", "\t", "\0", "\x85", "\u2028"]
CONTENT = st.lists(st.sampled_from(PIECES), max_size=60).map(lambda found: "".join(found).encode())


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(CONTENT | st.just(b"\x80") | st.just(b"A1,B1,3\n"), max_size=12).map(b"".join),
    quote=st.sampled_from(['"', "", "'"]),
    columns=st.sampled_from([None, (), ("one",), ("one", "two"), ("one", "two", "three")]),
    delimiter=st.sampled_from(["", ",,", ",;"]),
    block_chars=st.sampled_from([1, 7, 30, 8192]),
)
def test_many_lines_at_once_are_read_as_one_by_one(
    path, content, quote, columns, delimiter, block_chars
):
    write(path, content)

    def found():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(textfile, "BLOCK_CHARS", block_chars)
            try:
                table = CsvTable(path, CsvFormat(quote=quote, delimiter=delimiter), columns=columns)
                return table.names, list(table.rows)
            except DataError as error:
                return str(error)

    at_once = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvTable, "_at_once", lambda self, block: None)
        assert found() == at_once


@pytest.mark.parametrize("quote", ['"', ""])
def test_delimiters_of_two_characters(path, quote):
    write(path, "item_id::title::tags\n1::One: a::b|c\n2:::Two::\n")
    assert read(path, delimiter="::", quote=quote) == (
        ["item_id", "title", "tags"],
        [(2, ["1", "One: a", "b|c"]), (3, ["2", ":Two", ""])],
    )


def test_quotes_beside_a_delimiter_of_two_characters(path):
    content = 'item_id::title\n1::"One::a"\n2::"Two" b\n3::"Three\nlines::"\n4::c::d\n'
    _, rows = read(write(path, content), delimiter="::")
    assert [rows[0], rows[2]] == [(2, ["1", "One::a"]), (4, ["3", "Three\nlines::"])]
    assert rows[1][1].startswith("cannot be parsed: '::' expected after '\"'")
    assert "give --quote none" in rows[1][1]
    assert rows[3] == (6, "has 3 columns where the header has 2")


def test_a_delimiter_of_two_characters_is_seen_in_the_header(path):
    with pytest.raises(DataError, match="'::' in it: give --delimiter '::'"):
        read(write(path, "item_id::title\n1::One\n"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--delimiter", ""), "--delimiter '': give one or two characters, tab, or auto"),
        (("--delimiter", ":::"), "--delimiter ':::': give one or two characters"),
        (("--delimiter", ":\n"), "give one or two characters"),
        (("--quote", ""), "--quote '': give one character, or none"),
        (("--quote", "''"), "give one character, or none"),
        (("--delimiter", "::", "--quote", ":"), "give different characters"),
    ],
)
def test_delimiters_and_quotes_that_are_none(given, message):
    with pytest.raises(DataError) as caught:
        options(*given)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_default_delimiter_has_a_name():
    assert options("--delimiter", "auto") == CsvFormat()
