"""The languages of the page: English sentences in the sources are the keys of their translations.

A sentence is marked where it stands: `tr("…")` translates it, `marked("…")` is for one that `tr` is
given later, `plural` of app.render makes one of a noun; all words of the page's frame count, too.
What has no translation stays English. A test reads the marks from the sources and holds
assets/locale to them.
"""

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from html import escape, unescape
from pathlib import Path
from typing import Any

LOCALES = Path(__file__).resolve().parent.parent / "assets" / "locale"
LANGUAGES = ("en", "zh")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
# What is seen or heard of an HTML template: text between tags, and these attributes.
_SEEN = re.compile(
    r'(?<=>)[^<>]+(?=<)|(?<= (?:title|label)=")[^"]+|(?<=-label=")[^"]+'
    r'|(?<= placeholder=")[^"]+'
)
# A letter, but not of a $name; or the end of a sentence, which other languages write differently.
_WORD = re.compile(r"(?<![$\w])[^\W\d_]|^\.$")
_NUMBER = re.compile(r"\d[\d,.]*")
_BETWEEN_PARTS = re.compile(r"(, | \(|\))")
_language: ContextVar[str] = ContextVar("language", default="en")


def tr(sentence: str, **values: object) -> str:
    """A sentence in the language of the question that is being answered.

    Args:
        sentence: English, with {names} for values.
        values: by name; what a value contains is not looked at.
    """
    found = _server_texts().get(sentence, sentence)
    return _PLACEHOLDER.sub(lambda name: str(values.get(name[1], name[0])), found)


def tr_parts(words: str) -> str:
    """Facts in a row such as "A, 5 B (C)": as a whole, or each by itself with {0} for its number.

    They come from reports and from hllm, which knows nothing of languages.
    """
    if words in _server_texts():
        return tr(words)
    return "".join(_tr_part(part) for part in _BETWEEN_PARTS.split(words))


def marked(sentence: str) -> str:
    """A sentence that `tr` will be given later, where the language is known."""
    return sentence


PUNCTUATION = (marked(", "), marked(" ("), marked(")"))  # between parts


def tr_reason(error: object) -> str:
    """The sentence of an error; one that nobody has translated is said to be what it is."""
    sentence = str(error)
    is_known = sentence in _server_texts()
    return tr(sentence) if is_known else tr("{reason}", reason=sentence)


def tr_template(html: str) -> str:
    """A template of ours, which may have $names in it, with all that is seen of it translated."""
    texts = _server_texts()

    def translated(found: re.Match[str]) -> str:
        sentence = template_sentence(found[0])
        if sentence not in texts:
            return found[0]
        return found[0].replace(found[0].strip(), escape(texts[sentence]))

    return _SEEN.sub(translated, html)


def template_sentences(html: str) -> list[str]:
    """Everything in a template that has words."""
    return [s for s in map(template_sentence, _SEEN.findall(html)) if _WORD.search(s)]


def template_sentence(piece: str) -> str:
    """What a piece of HTML says, which is the key of its translation."""
    return unescape(piece).strip()


def page_texts() -> dict[str, str]:
    """The translations of what the scripts of the page say; of English there are none."""
    return _texts(_language.get())["page"]


@contextmanager
def speaking(language: object) -> Iterator[None]:
    """Answer in a language, if it is one of ours; otherwise in English."""
    known = language if isinstance(language, str) and language in LANGUAGES else "en"
    token = _language.set(known)
    try:
        yield
    finally:
        _language.reset(token)


def in_its_language(answer: Callable[..., Any]) -> Callable[..., Any]:
    """A server function that answers in the language that the question names as "lang"."""

    def language_of(raw: Any) -> Any:
        return raw.get("lang") if isinstance(raw, dict) else None

    if inspect.iscoroutinefunction(answer):

        @functools.wraps(answer)
        async def answer_later(raw: Any, *others: Any) -> Any:
            with speaking(language_of(raw)):
                return await answer(raw, *others)

        return answer_later

    @functools.wraps(answer)
    def answer_now(raw: Any, *others: Any) -> Any:
        with speaking(language_of(raw)):
            return answer(raw, *others)

    return answer_now


def _tr_part(part: str) -> str:
    numbers = {str(place): found for place, found in enumerate(_NUMBER.findall(part))}
    places = iter(numbers)
    return tr(_NUMBER.sub(lambda _: f"{{{next(places)}}}", part), **numbers)


def _server_texts() -> Mapping[str, str]:
    return _texts(_language.get())["server"]


@functools.cache
def _texts(language: str) -> dict[str, dict[str, str]]:
    if language == "en":
        return {"page": {}, "server": {}}
    texts: dict[str, dict[str, str]] = json.loads((LOCALES / f"{language}.json").read_text("utf-8"))
    return texts
