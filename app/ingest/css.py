"""Style sheets that lost their <style> tags on the way into a text: ".box { color: red; }"."""

import re

# Only these make a rule of what stands in braces: "Quest {Collector's Edition: Gold}" is a title.
_PROPERTY = re.compile(
    r"(?:-(?:webkit|moz|ms|o)-[a-z-]+|--[\w-]+|background|border|margin|padding|font|text|list|line|"
    r"letter|word|white|min|max|z|box|overflow|outline|vertical|animation|transition|flex|grid|"
    r"align|justify|table|page|break|object|pointer)(?:-[a-z]+)*"
    r"|color|width|height|display|position|float|clear|top|right|bottom|left|cursor|content|"
    r"opacity|visibility|zoom|filter|src|size|clip|direction|transform|resize|quotes|gap|order"
)
_TAG = (
    r"(?:a|article|aside|body|b|button|code|dd|div|dl|dt|em|fieldset|footer|form|h[1-6]|header|hr|html|"
    r"i|iframe|img|input|label|legend|li|main|nav|ol|p|pre|section|select|small|span|strong|"
    r"sub|sup|table|tbody|td|textarea|tfoot|th|thead|tr|ul|u|video)"
)
_SIMPLE = rf"(?:[.#@][\w-]+|\*|{_TAG})(?:[.#:]{{1,2}}[\w-]+|\[[^\[\]]{{0,40}}\])*"
_SELECTOR = re.compile(rf"{_SIMPLE}(?:,{_SIMPLE})*,?|[>+~,]")
_RULE = re.compile(r"\{([^{}<>]{0,4000})\}")
_MAX_SELECTOR_CHARS = 400


def without_css(text: str) -> str:
    """Remove style sheet rules; time grows with the length of the text only."""
    kept: list[str] = []
    position = 0
    for rule in _RULE.finditer(text):
        if not _declares(rule[1]):
            continue
        start = _selector_start(
            text, max(position, rule.start() - _MAX_SELECTOR_CHARS), rule.start()
        )
        if start < rule.start():
            kept += text[position:start], " "
            position = rule.end()
    return "".join([*kept, text[position:]]) if kept else text


def _declares(body: str) -> bool:
    declarations = [part for part in body.split(";") if part.strip()]
    return bool(declarations) and all(
        (name := part.partition(":"))[2].strip() and _PROPERTY.fullmatch(name[0].strip().lower())
        for part in declarations
    )


def _selector_start(text: str, first: int, end: int) -> int:
    """Where the selectors in front of a rule begin; ``end`` if there are none."""
    start = end
    for word in reversed(list(re.finditer(r"\S+", text[first:end]))):
        if not _SELECTOR.fullmatch(word[0]):
            break
        start = first + word.start()
    return start
