"""Make the dirty texts of data sets fit to be read: by people on the page and by models.

All functions are pure and accept any text: what they do not understand they leave as it is.
"""

import ast
import html
import json
import math
import re
from collections.abc import Iterable
from typing import Any

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
# A style sheet whose <style> tags were lost on the way: ".name { key: value; }", several in a row.
_CSS_RULE = re.compile(
    r"[.#@]?[\w.#@:,>\-]{1,80}[ \t]{0,3}\{[^{}<>]{0,2000}[:][^{}<>]{0,2000};?\s{0,5}\}"
)
_SPACE = re.compile(r"[^\S\n]+")
_NEWLINES = re.compile(r" ?\n[ \n]*")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
_BETWEEN_PARTS = re.compile("['\"], ['\"]")
_YEAR = re.compile(r"(?<!\d)(1[4-9]\d\d|20\d\d)(?!\d)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


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
            text = _CSS_RULE.sub(" ", text)
        if "&" in text:
            text = html.unescape(text)
        if text == before:
            break
    return _tidy(text)


def clean_title(raw: str) -> str:
    """Clean a title; one of nothing but tags, such as "<b>", is the title and stays."""
    return clean_text(raw) or _tidy(_without_blocks(raw[:MAX_RAW_CHARS]))


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
    """The parts of a value that may be a list, a list written as Python or JSON text, or a text.

    Parts are not cleaned; nested lists are flattened; empty parts are left out.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, str):
        stripped = value.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            parsed = _parse_list(stripped)
            if parsed is not None:
                return list_or_text(parsed)
        return [value] if stripped else []
    if isinstance(value, list | tuple):
        return [part for inner in value for part in list_or_text(inner)]
    return [str(value)]


def _parse_list(text: str) -> list[Any] | None:
    if len(text) > MAX_RAW_CHARS:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        try:
            # Line breaks inside a quoted part are no Python, but data sets have them.
            parsed = ast.literal_eval(text.replace("\r", " ").replace("\n", "\\n"))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return _split_list(text)
    if not isinstance(parsed, list):
        return None
    return parsed if all(isinstance(part, str | list | None) for part in parsed) else None


def _split_list(text: str) -> list[Any] | None:
    """The parts of a list whose quotes were not escaped when it was written: no Python any more."""
    if text[:2] not in ("['", '["') or text[-2:] not in ("']", '"]'):
        return None
    parts = _BETWEEN_PARTS.split(text[2:-2])
    return [part.replace("\\n", "\n").replace("\\'", "'").replace('\\"', '"') for part in parts]


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
    if len(parts) == 1:
        separator = next((char for char in separators if char in clean_text(parts[0])), None)
        if separator:
            parts = clean_text(parts[0]).split(separator)
    clean = (clean_text(part).replace("\n", " ").strip() for part in parts)
    return tuple(dict.fromkeys(part for part in clean if part))


def parse_price(value: Any) -> float | None:
    """The first amount in "$12.99", "1,299.00" or "$5.00 - $9.00"; None where there is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) and value >= 0 else None
    match = _NUMBER.search(str(value)[:60]) if "{" not in str(value) else None
    return float(match.group().replace(",", "")) if match else None


def parse_year(value: Any) -> int | None:
    """A year from a number or from a date in any notation that writes it with four digits."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if re.fullmatch(r"-?\d{1,4}(\.0+)?", text):
        return int(float(text))
    match = _YEAR.search(text[:200])
    return int(match.group()) if match else None


def parse_count(value: Any) -> int:
    """A count such as 12, "12", "1,234" or 12.0; 0 where there is none."""
    if isinstance(value, bool) or value is None:
        return 0
    try:
        number = float(str(value).replace(",", "") or 0)
    except ValueError:
        return 0
    return max(0, int(number)) if math.isfinite(number) else 0


def first_text(values: Iterable[Any]) -> str:
    """The first non-empty text among the values."""
    return next((value.strip() for value in values if isinstance(value, str) and value.strip()), "")
