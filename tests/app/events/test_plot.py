"""The picture is well-formed, shows the numbers it is given, and escapes what is not ours."""

import re
from xml.etree import ElementTree

import pytest

from app.catalog.event_reader import BlindCounts
from app.catalog.events import PickSums
from app.events.plot import BARS, LEFT, SCALE, draw, html_of

BLIND = BlindCounts(4, {("hllm", 1): 6, ("baseline", 1): 2, ("hllm", 3): 3, ("baseline", 10): 1})
PICKS = [PickSums(2, (1, 0), (2, 1), (1.5, 0.25))] * 5


def elements(picture, tag):
    return list(ElementTree.fromstring(picture).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def words_of(picture):
    return " ".join("".join(found.itertext()) for found in elements(picture, "text"))


def test_it_shows_wins_test_positions_and_scores():
    picture, summary = draw("Books", BLIND, PICKS)
    words = words_of(picture)
    assert "12 picks of 4 visits: HLLM 9, Baseline 3." in words
    assert "75% (43% to 95%)" in words and "25% (5% to 57%)" in words
    assert "p = 0.15" in summary[1] and "could well be chance" in summary[1]
    assert "10 picks of 5 visits, closer: HLLM 5, Baseline 0." in words
    assert "1.000 (1.000 to 1.000)" in words and "0.750 (0.750 to 0.750)" in words
    points = [float(circle.get("cx")) for circle in elements(picture, "circle")]
    shares = [0.75, 0.25, 1.0, 0.75, 0.5, 0.125]
    assert points == pytest.approx([LEFT + SCALE * share for share in shares], abs=0.1)
    heights = [float(bar.get("height")) for bar in elements(picture, "rect")[1:]]
    assert len(heights) == 20
    assert heights[:2] == pytest.approx([BARS, BARS * 2 / 6], abs=0.1)
    assert heights[4] == pytest.approx(BARS / 2) and heights[19] == pytest.approx(BARS / 6, abs=0.1)


def test_nothing_yet_is_said():
    picture, summary = draw("Books", BlindCounts(0, {}), [])
    assert len(summary) == 2 and all("no picks" in sentence for sentence in summary)
    assert elements(picture, "circle") == []


def test_few_visits_have_no_interval():
    words = words_of(draw("Books", BLIND, PICKS[:2])[0])
    assert "1.000 (" not in words and "1.000" in words


def test_names_are_text_and_nothing_is_loaded(hostile_titles):
    for title in hostile_titles:
        picture, _ = draw(title, BLIND, PICKS)
        page = html_of(title, picture)
        assert ElementTree.fromstring(picture) is not None
        assert title in words_of(picture)
        assert "<script" not in page and "<img" not in page
        assert not re.search(r"<[^>]*(?:href|src)=", page)
