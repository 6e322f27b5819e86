"""Turn item texts and search words into the tokens of the full-text index.

The index stores tokens that are made here and nowhere else, so that a text and a query always
fold the same way: case and accents are dropped; Chinese, Japanese and Korean runs, which have no
spaces, become single characters and pairs of neighbours and are found by any part of them.
"""

import re
import unicodedata
from collections.abc import Iterable

MAX_QUERY_CHARS = 200
MAX_QUERY_TOKENS = 12
MAX_TOKEN_CHARS = 40
MAX_INDEXED_CHARS = 4_000

# Private-use characters begin the tokens that no user can type: fold() drops them from any text.
CATEGORY_MARK = "\ue000"
TITLE_MARK = "\ue001"

# Kana, Han (with extensions) and Hangul: scripts that are searched by character.
_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_IS_CJK = re.compile(f"[{_CJK}]")
_RUNS = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")
_ASCII_WORDS = re.compile("[a-z0-9]+")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")


def fold(text: str) -> str:
    """Fold case, width and accents: "Café" and "CAFE" become "cafe"; kana and Hangul stay whole."""
    if text.isascii():
        return text.lower()
    text = _PRIVATE.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    if text.isascii():
        return text
    return "".join(
        char if char < "\x80" or _IS_CJK.match(char) else _without_marks(char) for char in text
    )


def _without_marks(char: str) -> str:
    decomposed = unicodedata.normalize("NFKD", char)
    return "".join(part for part in decomposed if not unicodedata.category(part).startswith("M"))


def runs(text: str) -> list[str]:
    """Split a text into folded words and CJK runs, in order."""
    folded = fold(text)
    if folded.isascii():
        return _ASCII_WORDS.findall(folded)
    return _RUNS.findall(folded)


def sort_key(title: str) -> str:
    """Key that sorts titles without regard to case, accents and punctuation; bounded."""
    return " ".join(runs(title[:200]))


def _grams(run: str) -> Iterable[str]:
    yield from run
    for start in range(len(run) - 1):
        yield run[start : start + 2]


def _tokens(text: str) -> Iterable[str]:
    for run in runs(text[:MAX_INDEXED_CHARS]):
        if _IS_CJK.match(run):
            yield from _grams(run)
        else:
            yield run[:MAX_TOKEN_CHARS]


def index_tokens(
    headline: Iterable[str], body: Iterable[str], category_ids: Iterable[int] = ()
) -> str:
    """Build what the full-text index stores for one item: distinct tokens joined by blanks.

    Args:
        headline: title and creator; their words are also kept under TITLE_MARK, so that a search
            can tell a hit in the title from one in the description.
        body: all other searchable texts.
        category_ids: ids of the categories that the item can be filtered by.
    """
    head = dict.fromkeys(token for text in headline for token in _tokens(text))
    everything = dict(head)
    everything.update(dict.fromkeys(token for text in body for token in _tokens(text)))
    marked = [TITLE_MARK + token for token in head]
    return " ".join([*everything, *marked, *map(category_token, category_ids)])


def category_token(category_id: int) -> str:
    """The token that every item of a category carries."""
    return f"{CATEGORY_MARK}{category_id}"


def query_tokens(search: str) -> tuple[list[str], str]:
    """Split what a user typed into tokens that must all be present and a prefix for the last word.

    Args:
        search: free text; more than MAX_QUERY_CHARS or MAX_QUERY_TOKENS are ignored.

    Returns:
        (whole tokens, prefix); the prefix is "" when the search ends in CJK or has no words.
    """
    words = runs(search[:MAX_QUERY_CHARS])[:MAX_QUERY_TOKENS]
    tokens: list[str] = []
    prefix = ""
    for position, word in enumerate(words):
        if _IS_CJK.match(word):
            # Pairs cover a longer run; their single characters would add nothing.
            tokens.extend([word] if len(word) == 1 else list(_grams(word))[len(word) :])
        elif position == len(words) - 1:
            prefix = word[:MAX_TOKEN_CHARS]
        else:
            tokens.append(word[:MAX_TOKEN_CHARS])
    return list(dict.fromkeys(tokens)), prefix


def quoted(token: str) -> str:
    """A token as an FTS5 string; tokens hold letters and digits only, never a quote."""
    return f'"{token}"'
