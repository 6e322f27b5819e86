"""Draws typographic covers as small SVGs, so that no picture has to be fetched.

A cover depends on its arguments only. Everything that comes from the data is shown as text.
"""

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256
from random import Random

from app import motifs

WIDTH, HEIGHT = 200, 300
_SERIF = "Georgia,'Times New Roman','Noto Serif',serif"
_SANS = "'Helvetica Neue',Arial,'Noto Sans',sans-serif"
_TITLE_SIZES = (34, 31, 28, 25, 22, 20, 18, 16, 14, 12, 11)
_LINE_HEIGHT = 1.16
# Characters that mean something to XML, to a CSS url() or to the JavaScript template literals
# in which Gradio evaluates gr.HTML; as character references they are text everywhere.
_REFERENCES = {ord(character): f"&#{ord(character)};" for character in "&<>\"'`$\\{}"}


@dataclass(frozen=True)
class Palette:
    """Colours of a cover: text `ink` on `ground`; the ornament in two colours on `field`."""

    ground: str
    ink: str
    field: str
    first: str
    second: str


@dataclass(frozen=True)
class Style:
    """How the covers of a genre look."""

    motif: motifs.Motif
    font: str
    palettes: tuple[Palette, ...]


def _style(motif: motifs.Motif, font: str, *palettes: str) -> Style:
    return Style(motif, font, tuple(Palette(*palette.split()) for palette in palettes))


# fmt: off
# Each palette: ground, ink, field, first and second colour of the ornament.
STYLES: dict[str, Style] = {
    "Biography & Memoir": _style(motifs.portrait, _SERIF,
        "#f3ead9 #3b2618 #d9b98f #6b3f24 #f3ead9", "#2f3a3a #f1e7d3 #8fa79c #24302f #f1e7d3",
        "#f4e9e1 #4a1f2a #c98d86 #5b2230 #f9efe7"),
    "Business & Self-Help": _style(motifs.bars, _SANS,
        "#ffffff #12355b #ffd23f #12355b #ee4266", "#0b4f4a #fdf6e3 #12756d #f4d35e #ffffff",
        "#f6f5f0 #8a2b0e #f26b38 #fff1e0 #3a1a0e"),
    "Children's": _style(motifs.blocks, _SANS,
        "#fff6dc #8c2f1b #7fd1c7 #f25f4c #ffd166", "#e7f6fb #14466b #ffd166 #ef476f #118ab2",
        "#fdeef0 #6a1b4d #ffb5a7 #8e4fa8 #fcf6bd"),
    "Classics": _style(motifs.columns, _SERIF,
        "#f5efe0 #2e2a25 #b9a37a #f5efe0 #5d4a2b", "#1e3226 #efe4c6 #35523f #efe4c6 #c7a252",
        "#4a1420 #f3e3c3 #6f2130 #f3e3c3 #d4a657"),
    "Fantasy": _style(motifs.mountains, _SERIF,
        "#17203a #f4e4b8 #3d5a80 #17203a #f2c14e", "#21322a #f2ecd0 #6f9a7c #1b3a2f #f4e9b2",
        "#3a1a3c #f9e2c7 #a4508b #3a1a3c #ffcf99"),
    "Graphic Novels & Manga": _style(motifs.panels, _SANS,
        "#fff200 #111111 #ffffff #111111 #e4002b", "#111111 #ffffff #f7f7f2 #111111 #00a6c7",
        "#d7263d #ffffff #fdf0d5 #1b1b1e #f2a65a"),
    "Historical Fiction": _style(motifs.arches, _SERIF,
        "#f1e4cf #54271b #c8794a #f6ead7 #7a2e1d", "#22333b #eae0d5 #5e7580 #eae0d5 #c9a46c",
        "#3d2c1e #f3dfb8 #7a5a36 #f3dfb8 #3d2c1e"),
    "History": _style(motifs.strata, _SERIF,
        "#faf3e3 #41301f #e3c79a #a9744f #5f4632", "#26352f #eee6d0 #d8cda8 #4f6f5f #a8763e",
        "#7a1f1f #fbeedb #f0cfa0 #a63d2f #d98e4a"),
    "Horror": _style(motifs.branches, _SERIF,
        "#120d12 #f0e2d8 #6d1521 #120d12 #e8d5b5", "#0f1714 #dfe9d8 #2f4a3f #0b120f #c9d8a8",
        "#1a1423 #f3e3ee #503a65 #1a1423 #f0b7a4"),
    "Literary Fiction": _style(motifs.knot, _SERIF,
        "#f7f3ec #1d3557 #a8c5c9 #1d3557 #c8553d", "#274046 #f5e9d3 #d98f5c #274046 #f8e6c4",
        "#fbeee6 #6b2737 #e7b7a3 #6b2737 #fffaf3", "#e9ecdf #34403a #b7c2a1 #4c5c4c #e07a5f"),
    "Mystery": _style(motifs.keyhole, _SERIF,
        "#1b1f2a #f2e3bd #343d52 #cfae6b #f2e3bd", "#3b0d18 #f7e1cf #6a1b2d #e5b181 #f9e8d4",
        "#10302e #eadfc2 #21544f #d8b365 #f5ecd0"),
    "Philosophy": _style(motifs.labyrinth, _SERIF,
        "#f2f0e9 #2b2d42 #d6d2c4 #2b2d42 #b5503c", "#2a3d66 #f3ecd8 #4b639b #f3ecd8 #f0b64d",
        "#e6ddc6 #403221 #c9b98f #5a4630 #8c3b2a"),
    "Poetry & Drama": _style(motifs.curtain, _SERIF,
        "#fbf1ea #6a1022 #e8c6b0 #8d1c32 #fff8ec", "#2b2340 #f3e6f0 #5a4a80 #2b2340 #f2d7a1",
        "#0f3a45 #f6ead2 #3b7480 #0f3a45 #f6d9a0"),
    "Popular Science": _style(motifs.molecule, _SANS,
        "#0b2545 #ffffff #13407a #8dd5f0 #ffb703", "#ffffff #0a4d4f #bfe9e2 #0a6e6e #f25c54",
        "#1f1b3a #f4f1ff #3c3573 #b9a7ff #ff8fa3"),
    "Romance": _style(motifs.petals, _SERIF,
        "#fdeff0 #7c1d3c #f4b6bd #b5365c #fde2d2", "#5b1e3f #ffe8e0 #a84a70 #ffc2b4 #ffe9c9",
        "#fff5e6 #8a2f24 #ffcba4 #d9594c #fff0d9"),
    "Science Fiction": _style(motifs.orbits, _SANS,
        "#0a0f24 #e8f1ff #172554 #7dd3fc #f97316", "#1c0f2e #ffe9f3 #3f1d63 #f0abfc #fde047",
        "#06262b #dffcf5 #0e4a50 #5eead4 #fb7185"),
    "Thriller": _style(motifs.target, _SANS,
        "#141414 #ffffff #c81d25 #141414 #ffffff", "#0d1b2a #f4f1de #2c4a67 #f4f1de #ff7b00",
        "#f2d13c #161616 #e0b91f #161616 #b3001b"),
    "Travel & Nature": _style(motifs.leaves, _SERIF,
        "#f4f1e1 #23402b #b9d2a5 #2f6a42 #e3a33b", "#1f4037 #f2eccf #4d8068 #d9e5b3 #f0c05a",
        "#fbefdc #6b3a14 #f0c48a #8a5a24 #4f7a4a"),
    "Young Adult": _style(motifs.burst, _SANS,
        "#2d1e5f #ffffff #ff6b6b #ff8e72 #ffe66d", "#00454d #f7fff7 #1a9e9a #35b8b0 #ffe66d",
        "#fff1f3 #7a1147 #ff8fab #ffb3c6 #7a1147"),
}
# For categories of any catalogue: which of these is taken follows from the name of the category.
FALLBACK_STYLES: tuple[Style, ...] = (
    _style(motifs.waves, _SANS,
        "#f1faee #1d3557 #a8dadc #1d5b79 #e5734c", "#102a43 #f0f4f8 #486581 #9fd3e8 #f7c948"),
    _style(motifs.zigzag, _SANS,
        "#fff8ef #5a2a0a #f4a259 #fff3df #bc4b51", "#23214a #f5f3ff #4c489c #a5a0ea #f9c74f"),
    _style(motifs.skyline, _SANS,
        "#f7f0f5 #383040 #d8b4c4 #4a4058 #ffd88a", "#12232e #eefbfb #2f7f93 #12232e #ffd166"),
    _style(motifs.circuit, _SANS,
        "#07261d #e3fbe9 #0d4a37 #58c48d #f6c453", "#f3f6fa #1d2f5c #c7d6ee #33559c #e4572e"),
    _style(motifs.compass, _SERIF,
        "#f6eedc #3a2f1c #d8c08c #5a4422 #a63c25", "#17313b #f2ead3 #3f6d78 #f2ead3 #e0a458"),
    _style(motifs.smile, _SANS,
        "#fff3c4 #5c2b00 #ffb627 #8c3b00 #fff6d6", "#203a72 #ffffff #5b8def #203a72 #ffe28a"),
    _style(motifs.quill, _SERIF,
        "#f8f4ec #2f2a3d #cfc6dd #5c5280 #b5536b", "#27352c #f0ead6 #7d9a83 #27352c #f3dca0"),
)
# fmt: on


def cover_svg(title: str, creator: str, genre: str, *, seed_text: str) -> str:
    """Draw a cover.

    Args:
        title: shown large, wrapped and made smaller until it fits; cut with an ellipsis if it must.
        creator: author or brand, shown small; may be empty.
        genre: decides colours and ornament; any text, also empty.
        seed_text: varies palette, layout and ornament; the same text gives the same cover.

    Returns:
        An SVG element of 200 x 300, with no ids in it and nothing that is loaded from elsewhere.
    """
    # Not hash(): that differs from process to process.
    rng = Random(int.from_bytes(sha256(seed_text.encode("utf-8", "replace")).digest()[:8], "big"))
    style = style_of(genre)
    palette = rng.choice(style.palettes)
    layout = rng.choice((_ornament_above, _ornament_below, _panel, _window))
    ornament = style.motif(rng, palette.first, palette.second)
    body = layout(_Text(_clean(title), _clean(creator), style.font, palette.ink), palette, ornament)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{_escape(_shorten(_clean(title), 120))}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{palette.ground}"/>{body}'
        # The fold beside the spine makes a flat picture look like a book.
        '<path d="M7 0V300" stroke="#000" stroke-opacity=".13" stroke-width="2"/></svg>'
    )


def style_of(genre: str) -> Style:
    """The style of a genre; other categories get one of the fallbacks, always the same one."""
    known = STYLES.get(genre)
    if known is not None:
        return known
    number = sha256(genre.casefold().encode("utf-8", "replace")).digest()[0]
    return FALLBACK_STYLES[number % len(FALLBACK_STYLES)]


@dataclass(frozen=True)
class _Text:
    title: str
    creator: str
    font: str
    ink: str

    def draw(self, top: float, bottom: float, width: float) -> str:
        """Title and creator as one group, centred between top and bottom."""
        creator_lines = _creator_lines(self.creator, width)
        creator_height = 14 * len(creator_lines) + (12 if creator_lines else 0)
        size, lines = _fit(self.title, width, bottom - top - creator_height)
        height = size * _LINE_HEIGHT * len(lines)
        y = (top + bottom - height - creator_height) / 2
        title = "".join(
            f'<tspan x="100" y="{y + size * (0.9 + _LINE_HEIGHT * i):.0f}">{_escape(line)}</tspan>'
            for i, line in enumerate(lines)
        )
        group = f'<text font-size="{size}" font-weight="700">{title}</text>'
        if creator_lines:
            y += height + 6
            group += f'<path d="M88 {y:.0f}h24" stroke="{self.ink}"/>'
            tspans = "".join(
                f'<tspan x="100" y="{y + 16 + 14 * i:.0f}">{_escape(line)}</tspan>'
                for i, line in enumerate(creator_lines)
            )
            group += f'<text font-size="12">{tspans}</text>'
        return f'<g font-family="{self.font}" fill="{self.ink}" text-anchor="middle">{group}</g>'


def _zone(x: int, y: int, width: int, height: int, palette: Palette, ornament: str) -> str:
    """The ornament, cut to a rectangle: a nested svg clips without needing an id."""
    return (
        f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="0 0 200 200" '
        f'preserveAspectRatio="xMidYMid slice">'
        f'<path d="M-200-200h600v600h-600Z" fill="{palette.field}"/>{ornament}</svg>'
    )


def _ornament_above(text: _Text, palette: Palette, ornament: str) -> str:
    zone = _zone(0, 0, 200, 160, palette, ornament)
    return zone + _bar(160, palette) + text.draw(168, 292, 172)


def _ornament_below(text: _Text, palette: Palette, ornament: str) -> str:
    zone = _zone(0, 140, 200, 160, palette, ornament)
    return zone + _bar(137, palette) + text.draw(10, 132, 172)


def _bar(y: int, palette: Palette) -> str:
    return f'<path d="M0 {y}h200v3H0Z" fill="{palette.second}"/>'


def _panel(text: _Text, palette: Palette, ornament: str) -> str:
    zone = _zone(0, 0, 200, 300, palette, ornament)
    box = f'<path d="M22 84h156v132H22Z" fill="{palette.ground}"/>'
    frame = f'<path d="M27 89h146v122H27Z" fill="none" stroke="{palette.ink}" opacity=".5"/>'
    return zone + box + frame + text.draw(94, 206, 136)


def _window(text: _Text, palette: Palette, ornament: str) -> str:
    frame = f'<path d="M14 12h174v276H14Z" fill="none" stroke="{palette.ink}" opacity=".5"/>'
    return frame + _zone(41, 26, 120, 128, palette, ornament) + text.draw(162, 282, 160)


def _clean(text: str) -> str:
    """One line of text that XML can hold: without control characters and lone surrogates."""
    kept = "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in {"Cc", "Cs", "Cn", "Co"}
    )
    return " ".join(kept.split())


def _escape(text: str) -> str:
    return text.translate(_REFERENCES)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "\u2026"


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"


def _width(text: str) -> float:
    """Rough width in em, on the generous side: the reader's fonts are unknown."""
    total = 0.0
    for character in text:
        if _is_wide(character):
            total += 1.02
        elif unicodedata.combining(character):
            continue
        elif character in "iljtfrI.,:;'!|()[] -":
            total += 0.36
        elif character in "mwMW@%&" or character.isupper():
            total += 0.84 if character in "mwMW@%&" else 0.72
        else:
            total += 0.6
    return total


def _pieces(text: str) -> list[str]:
    """What may not be broken: words with their space, and single wide characters."""
    return [
        piece
        for piece in re.split(r"(?<= )|(?<=[-\u2010-\u2014/])", text)
        for piece in ([*piece] if any(map(_is_wide, piece)) else [piece])
        if piece
    ]


def _wrap(text: str, limit: float) -> list[str]:
    """Break text into lines of at most `limit` em; words longer than a line are cut."""
    lines, line = [], ""
    for piece in _pieces(text):
        for part in _cut(piece, limit):
            if line.strip() and _width((line + part).strip()) > limit:
                lines.append(line.strip())
                line = ""
            line += part
    return [*lines, line.strip()] if line.strip() else lines


def _cut(piece: str, limit: float) -> list[str]:
    if _width(piece.strip()) <= limit:
        return [piece]
    parts, part = [], ""
    for character in piece:
        if part and _width(part + character) > limit:
            parts.append(part)
            part = ""
        part += character
    return [*parts, part]


def _fit(title: str, width: float, height: float) -> tuple[int, list[str]]:
    """The largest size at which the title fits without cutting a word, and its lines."""
    for size in _TITLE_SIZES:
        lines = _wrap(title, width / size)
        whole_words = all(_width(piece.strip()) <= width / size for piece in _pieces(title))
        if whole_words and len(lines) * size * _LINE_HEIGHT <= height:
            return size, lines
    room = int(height / (size * _LINE_HEIGHT))
    lines = _wrap(title, width / size)
    if len(lines) > room:
        lines = [*lines[: room - 1], lines[room - 1][:-1].rstrip() + "\u2026"]
    return size, lines


def _creator_lines(creator: str, width: float) -> list[str]:
    lines = _wrap(creator, width / 12)
    return lines if len(lines) <= 2 else [lines[0], lines[1][:-1].rstrip() + "\u2026"]
