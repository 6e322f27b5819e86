"""Make the dirty texts of data sets fit to be read: by people on the page and by models.

All functions are pure and accept any text: what they do not understand they leave as it is.
"""

import html
import math
import re
from collections.abc import Iterable
from html.entities import html5
from typing import Any

from app.ingest.css import without_css
from app.ingest.lists import as_list

# Longer texts are cut before cleaning, so that one hostile record cannot stop an import.
MAX_RAW_CHARS = 200_000
_MAX_PASSES = 4

_TAGS = (
    "a|abbr|address|article|aside|audio|b|big|blockquote|body|br|button|caption|center|cite|code|"
    "col|colgroup|dd|del|div|dl|dt|em|embed|fieldset|figcaption|figure|font|footer|form|h[1-6]|head|"
    "header|hr|html|i|iframe|img|input|ins|label|legend|li|link|main|map|mark|meta|nav|nobr|noscript|"
    "object|ol|optgroup|option|p|param|picture|pre|q|s|samp|section|select|small|source|span|strike|"
    "strong|sub|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|var|video|wbr"
)
# Only tags of HTML: a title such as "<Untitled>" or "List<T>" is text.
_TAG = re.compile(rf"</?(?:{_TAGS})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_INLINE_TAG = re.compile(
    r"</?(?:a|abbr|b|big|cite|em|font|i|mark|s|small|span|strike|strong|sub|sup|tt|u|wbr)"
    r"(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
_BLOCKS = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"), ("<![cdata[", "]]>"))
_SPACE = re.compile(r"[^\S\n]+")
_NEWLINES = re.compile(r" ?\n[ \n]*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
_MISSING_WORDS = frozenset(("nan", "nat", "none", "null", "n/a", "<na>", "#n/a", r"\n"))
# "&section" is text: without a semicolon only the commonest entities count, as whole words.
_ENTITY = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{1,31});|&(?:amp|lt|gt|quot|nbsp)(?![\w=;])"
)


def clean_text(raw: str) -> str:
    """Drop comments, scripts, style sheets, tags and entities, and tidy blanks.

    Repeats until nothing changes, because data sets hold text that was escaped twice; so cleaning
    clean text does nothing.
    """
    text = raw[:MAX_RAW_CHARS]
    for _ in range(_MAX_PASSES):
        before = text
        if "<" in text:
            text = _without_blocks(text)
            text = _INLINE_TAG.sub("", text)
            text = _TAG.sub("\n", text)
        if "{" in text:
            text = without_css(text)
        if "&" in text:
            text = _ENTITY.sub(_character, text)
        if text == before:
            break
    return _tidy(text)


def clean_title(raw: str) -> str:
    """Clean a title; one of nothing but tags, such as "<b>", is the title and stays."""
    return clean_text(raw) or _tidy(_without_blocks(raw[:MAX_RAW_CHARS]))


def _character(entity: re.Match[str]) -> str:
    """What an entity stands for; itself if that is nothing, or no character of any text."""
    name = entity[0][1:].removesuffix(";")
    found = html.unescape(f"&{name};") if name[0] == "#" else html5.get(name + ";", "")
    return entity[0] if found in ("", "\ufffd") else found


def _without_blocks(text: str) -> str:
    lowered = text.lower()
    # Lower case may be longer than the text ("\u0130"); then positions would not fit.
    if len(lowered) != len(text):
        lowered = text
    for opening, closing in _BLOCKS:
        if opening not in lowered:
            continue
        kept, position = [], 0
        while (start := lowered.find(opening, position)) >= 0:
            kept.append(text[position:start])
            end = lowered.find(closing, start)
            position = len(text) if end < 0 else end + len(closing)
        kept.append(text[position:])
        text = " ".join(kept)
        lowered = text.lower() if len(text.lower()) == len(text) else text
    return text


def _tidy(text: str) -> str:
    text = _SPACE.sub(" ", _CONTROL.sub("", text.replace("\r", "\n")))
    return _NEWLINES.sub("\n", text).strip()


def list_or_text(value: Any) -> list[str]:
    """The parts of a value that may be a list, a list written as text, or a text.

    Parts are not cleaned; nested lists are flattened; empty parts are left out.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    listed = as_list(value)
    if listed is not None:
        return [part for inner in listed for part in list_or_text(inner)]
    if isinstance(value, str):
        return [value] if value.strip() else []
    return [str(value)]


def is_missing(value: Any) -> bool:
    """Whether a cell says that there is nothing: never asked of ids and titles, which may be so."""
    return isinstance(value, str) and value.strip().lower() in _MISSING_WORDS


def joined_text(value: Any) -> str:
    """A text, or the parts of a list as one text: each cleaned, repeated ones once."""
    parts = dict.fromkeys(clean_text(part) for part in list_or_text(value))
    return "\n".join(part for part in parts if part)


def labels(value: Any, separators: str = "|;") -> tuple[str, ...]:
    """Tags or categories from a list or from a text with separators, cleaned, each once.

    Args:
        value: list, text of a list, or text.
        separators: characters to try in this order; the first that occurs splits a text.
    """
    parts = list_or_text(value)
    # A list was split by those who wrote it: a comma in "Wind, Brass & Reed" is part of the name.
    if len(parts) == 1 and as_list(value) is None:
        text = clean_text(parts[0])
        separator = next((char for char in separators if char in text), None)
        parts = [] if is_missing(text) else text.split(separator) if separator else [text]
    clean = (clean_text(part).replace("\n", " ").strip() for part in parts)
    return tuple(dict.fromkeys(part for part in clean if part))


def first_text(values: Iterable[Any]) -> str:
    """The first non-empty text among the values."""
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")
