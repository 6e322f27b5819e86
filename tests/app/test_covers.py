"""Covers: readable, small, and harmless whatever the title says."""

import re
from itertools import chain
from xml.etree import ElementTree

import pytest

from app.books.facts import load_books
from app.covers import FALLBACK_STYLES, STYLES, cover_svg, style_of

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "${alert(1)} and `${document.cookie}`",
    "\\u003cscript\\u003e",
    "Tom & \"Jerry\" 'n' {friends} </text></svg><script>alert(1)</script>",
    "]]><!-- -->",
]


def draw(title, creator="Somebody", genre="Fantasy", seed_text=None):
    return cover_svg(title, creator, genre, seed_text=title if seed_text is None else seed_text)


def shown(svg):
    """All text on the cover, lines joined as they are wrapped."""
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}tspan")]


def squeezed(text):
    return re.sub(r"\s", "", text)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_text_is_readable_in_every_palette():
    for style in chain(STYLES.values(), FALLBACK_STYLES):
        for palette in style.palettes:
            low, high = sorted((luminance(palette.ground), luminance(palette.ink)))
            assert (high + 0.05) / (low + 0.05) >= 4.5, palette


def test_each_genre_of_the_books_has_a_motif_of_its_own():
    genres = {book.genre for book in load_books()}
    assert genres == set(STYLES)
    names = [style.motif.__name__ for style in chain(STYLES.values(), FALLBACK_STYLES)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("title", HOSTILE)
@pytest.mark.parametrize("seed_text", ["a", "b", "c", "d", "e"])
def test_hostile_titles_and_creators_are_shown_as_text(title, seed_text):
    svg = draw(title, creator=title[:25], seed_text=seed_text)
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == " ".join(title.split())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "rect", "path", "circle", "ellipse", "g", "text", "tspan",
    }  # fmt: skip
    assert squeezed("".join(shown(svg))).startswith(squeezed(title))
    # Nothing that Gradio's template literals or a url("...") would take as code.
    assert not set("`$\\{}") & set(svg)


def test_what_xml_cannot_hold_is_left_out():
    svg = draw("A\x00B\x1b C\ud800\n\tD\ufffeE", creator="\x07")
    assert shown(svg) == ["AB C DE"]
    svg.encode("utf-8")


@pytest.mark.parametrize("genre", [*STYLES, "Video Games", "", "<b>", "文具"])
def test_covers_are_small_and_can_share_a_page(genre):
    for number in range(40):
        svg = draw(f"A Somewhat Longer Title of Number {number}", "First & Second Author", genre)
        assert len(svg.encode()) < 2560
        assert not re.search(r'\sid=|href|url\(|@import|src=|<style|<script| on\w+="', svg)


def test_all_covers_of_the_books_are_small_and_show_the_whole_title():
    for book in load_books():
        svg = cover_svg(book.title, book.author, book.genre, seed_text=book.item_id)
        assert len(svg.encode()) < 2560, book.title
        assert squeezed("".join(shown(svg))).startswith(squeezed(book.title))


@pytest.mark.parametrize(
    "title",
    [
        "Zelda " * 60,
        "百年の孤独" * 30,
        "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 4,
        "x",
    ],
)
@pytest.mark.parametrize("seed_text", ["1", "2", "3", "4", "5", "6"])
def test_titles_of_any_length_stay_on_the_cover(title, seed_text):
    root = ElementTree.fromstring(draw(title, "作者" * 40, seed_text=seed_text))
    lines = []
    for group in root.iter(f"{SVG}text"):
        size = float(group.get("font-size"))
        for span in group:
            # A Chinese character is as wide as it is high, a narrow Latin one about a third.
            narrowest = sum(1 if character > "\u3000" else 0.3 for character in span.text)
            assert narrowest * size <= 180
            lines.append((float(span.get("y")), span.text))
    assert all(8 <= y <= 298 for y, _ in lines)
    assert [y for y, _ in lines] == sorted({y for y, _ in lines})
    assert lines[-1][1].endswith("\u2026")
    assert (title == "x") == (lines[0][1] == "x")


def test_the_same_seed_gives_the_same_cover_and_others_differ():
    assert draw("Emma") == draw("Emma")
    bodies = {draw("Emma", seed_text=str(number)) for number in range(30)}
    assert len(bodies) > 20


def test_an_unknown_category_always_looks_the_same_way():
    assert style_of("Video Games") is style_of("video games")
    assert style_of("Video Games") in FALLBACK_STYLES
    assert len({id(style_of(name)) for name in map(str, range(80))}) == len(FALLBACK_STYLES)


def test_without_a_creator_only_the_title_is_shown():
    assert shown(draw("Beowulf", creator="", seed_text="q")) == ["Beowulf"]
