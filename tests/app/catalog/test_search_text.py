"""Folding, tokens of the index and of queries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.search_text import (
    CATEGORY_MARK,
    MAX_QUERY_TOKENS,
    TITLE_MARK,
    fold,
    index_tokens,
    query_tokens,
    sort_key,
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Café CAFÉ", "cafe cafe"),
        ("Straße", "strasse"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full width"),
        ("ﬁne", "fine"),
        ("Ἀθῆναι", "αθηναι"),
        ("ガンダム", "ガンダム"),
        ("ｶﾞﾝﾀﾞﾑ", "ガンダム"),
        ("한국어", "한국어"),
    ],
)
def test_fold(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("search", "tokens", "prefix"),
    [
        ("The Hobb", ["the"], "hobb"),
        ("日本", ["日本"], ""),
        ("日", ["日"], ""),
        ("日本語", ["日本", "本語"], ""),
        ("switch版 game", ["switch", "版"], "game"),
        ("  !!! ", [], ""),
        ('"AND" NEAR(x*, 3) -a:b', ["and", "near", "x", "3", "a"], "b"),
    ],
)
def test_query_tokens(search, tokens, prefix):
    assert query_tokens(search) == (tokens, prefix)


def test_query_is_bounded():
    tokens, prefix = query_tokens("word " * 100_000)
    assert len(tokens) + bool(prefix) <= MAX_QUERY_TOKENS


def test_index_marks_headline_and_categories():
    tokens = index_tokens(["Dune"], ["desert planet"], [7]).split()
    assert set(tokens) == {"dune", "desert", "planet", TITLE_MARK + "dune", CATEGORY_MARK + "7"}


def test_sort_key_ignores_case_accents_and_punctuation():
    titles = ["Émile", "“Dune”", "eden", "...and Ladies"]
    assert sorted(titles, key=sort_key) == ["...and Ladies", "“Dune”", "eden", "Émile"]


@given(st.text(max_size=80))
def test_tokens_never_hold_what_fts_or_the_tokenizer_would_split(text):
    tokens, prefix = query_tokens(text)
    assert not any(set(token) & set(' "\x00*^:()-') for token in [*tokens, prefix])
    assert not any(mark in token for token in [*tokens, prefix] for mark in "\ue000\ue001")


@given(st.text(max_size=60))
def test_every_word_of_a_text_is_among_its_tokens(text):
    stored = set(index_tokens([], [text]).split(" "))
    tokens, prefix = query_tokens(text)
    assert stored.issuperset(tokens)
    assert not prefix or any(token.startswith(prefix) for token in stored)
