"""Every ornament is well-formed, small, and made of nothing but its two colours."""

import inspect
import re
from random import Random
from xml.etree import ElementTree

import pytest

from app import motifs
from app.covers import FALLBACK_STYLES, STYLES

FIRST, SECOND = "#123456", "#abcdef"
MOTIFS = [
    function
    for name, function in inspect.getmembers(motifs, inspect.isfunction)
    if not name.startswith("_") and function.__module__ == motifs.__name__
]
DRAWN = {"svg", "path", "circle", "ellipse", "rect", "g"}


def elements(motif, seed):
    return list(ElementTree.fromstring(f"<svg>{motif(Random(seed), FIRST, SECOND)}</svg>").iter())


def test_every_motif_is_used_by_a_genre():
    styles = [*STYLES.values(), *FALLBACK_STYLES]
    assert {style.motif for style in styles} == set(MOTIFS)


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda motif: motif.__name__)
def test_a_motif_draws_shapes_in_its_colours(motif):
    used = set()
    for seed in range(25):
        for element in elements(motif, seed):
            assert element.tag in DRAWN
            assert not {"id", "href", "style", "class"} & set(element.keys())
            used |= {element.get(key) for key in ("fill", "stroke")}
    assert used - {None, "none"} == {FIRST, SECOND}


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda motif: motif.__name__)
def test_a_motif_follows_its_generator(motif):
    drawn = [motif(Random(seed), FIRST, SECOND) for seed in range(12)]
    assert drawn == [motif(Random(seed), FIRST, SECOND) for seed in range(12)]
    assert len(set(drawn)) > 1
    assert max(map(len, drawn)) < 1900  # a cover has 2,560 bytes


@pytest.mark.parametrize("motif", MOTIFS, ids=lambda motif: motif.__name__)
def test_numbers_are_rounded(motif):
    for seed in range(25):
        numbers = re.findall(r"-?\d*\.?\d+", motif(Random(seed), "red", "blue"))
        assert numbers and max(map(len, numbers)) <= 5


def test_a_polygon_by_hand():
    assert motifs._polygon(100, 100, 50, 4, 0) == "M150 100L100 150L50 100L100 50Z"
