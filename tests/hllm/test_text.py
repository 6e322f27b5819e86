import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hllm.errors import DataError
from hllm.text import DEFAULT_PROMPT, check_text_keys, item_text, text_hash, tokenize

KEYS = ["title", "tag", "description"]


def test_fields_in_the_order_of_the_keys_without_separator():
    fields = {"description": "baz", "title": "foo", "tag": "bar", "price": "3"}
    assert item_text(fields, KEYS) == DEFAULT_PROMPT + "title: footag: bardescription: baz"


@pytest.mark.parametrize("missing", ["", None, 0, False, 0.0])
def test_falsy_values_are_skipped(missing):
    assert item_text({"title": missing, "tag": "x"}, KEYS, "") == "tag: x"


@pytest.mark.parametrize("kept", [" ", "0", "none", "nan", "-", "None"])
def test_text_that_looks_missing_is_text(kept):
    assert item_text({"title": kept}, KEYS, "") == f"title: {kept}"


def test_item_without_fields_is_the_prompt_and_without_record_is_empty():
    assert item_text({}, KEYS) == DEFAULT_PROMPT
    assert item_text(None, KEYS) == ""


def test_nothing_is_stripped_or_escaped():
    assert item_text({"title": " a\nb <i> "}, ["title"], "") == "title:  a\nb <i> "


@settings(max_examples=30)
@given(st.text(), st.text())
def test_hash_tells_texts_apart(one, other):
    assert len(text_hash(one)) == 16
    assert (text_hash(one) == text_hash(other)) == (one == other)


def test_hash_of_a_lone_surrogate():
    assert len(text_hash("broken \ud83d")) == 16


def test_tokenize_keeps_bos_and_cuts_the_end(tokenizer):
    whole = tokenizer("abcdef")["input_ids"]
    assert tokenize(tokenizer, ["abcdef"], 4) == [whole[:4]]
    assert whole[0] == tokenizer.bos_token_id
    assert tokenize(tokenizer, ["abcdef"], 100) == [whole]


def test_tokenize_empty_text_and_no_texts(tokenizer):
    assert tokenize(tokenizer, [""], 8) == [[tokenizer.bos_token_id]]
    assert tokenize(tokenizer, [], 8) == []
    assert tokenize(tokenizer, iter(["a", "b"]), 8) == tokenize(tokenizer, ["a", "b"], 8)


RECORDS = [{"title": "Emma", "year": "1815"}, {"title": "Dune"}, None, {"title": "", "tag": ""}]


@pytest.mark.parametrize("every", [True, False])
def test_an_unknown_key_is_an_error_that_names_the_columns(every):
    with pytest.raises(DataError, match=r"x\.csv: no column 'titel' .*columns are title, year"):
        check_text_keys(RECORDS, ["titel"], source="x.csv", every=every)


def test_of_a_models_keys_one_must_be_there_and_the_empty_are_named(caplog):
    check_text_keys(RECORDS, ["title", "tag"], source="x.csv", every=False)
    assert "x.csv: 'tag' is empty for 4 of 4 items" in caplog.text
    with pytest.raises(DataError, match="no column 'tag' with any text: the"):
        check_text_keys(RECORDS, ["title", "tag"], source="x.csv")
    with pytest.raises(
        DataError, match=r"no column 'Titel' with any text \(did you mean title\?\)"
    ):
        check_text_keys(RECORDS, ["Titel"], source="x.csv")


def test_a_key_that_most_items_lack_is_said_and_one_that_half_have_is_not(caplog):
    check_text_keys(RECORDS, ["title", "year"], source="x.csv")
    assert "'year' is empty for 3 of 4 items" in caplog.text
    assert "'title'" not in caplog.text


def test_no_items_and_no_texts_are_errors():
    with pytest.raises(DataError, match=r"x\.csv holds no items"):
        check_text_keys([], ["title"], source="x.csv")
    with pytest.raises(DataError, match="the columns are all empty"):
        check_text_keys([None, {}], ["title"], source="x.csv", every=False)


def test_no_text_key_at_all_is_an_error():
    with pytest.raises(DataError, match=r"no text key is given, .* the columns are title"):
        check_text_keys([{"title": "Emma"}], [], source="x.csv")
