import pytest

from app.columns import ColumnAnswer
from app.render import render_cards, text
from app.render_recommendations import render_column
from app.static_space.templates import gaps, split, templates
from hllm.recommend import Recommendation, Recommendations
from tests.app.page_html import card


@pytest.fixture
def made(service):
    return templates([column.info() for column in service.columns], service.num_items)


def filled(template, **values):
    for name, value in values.items():
        html = value if name.startswith("=") else text(value)
        template = template.replace(f"\u27e6{name}\u27e7", html)
    assert "\u27e6" not in template
    return template


def test_filled_card_is_the_servers(made):
    shown = card("a b", "Title", "Creator")
    values = {"link": "a%20b", "id": "a b", "title": "Title", "creator": "Creator"}
    more = {"byline": "Creator \u00b7 1999", "tooltip": "Title\nAbout it.", "cover": shown.cover}
    html = filled(made["card"], **values, **more)
    assert html == render_cards([shown])


def test_filled_row_is_the_servers(made, service):
    infos = [column.info() for column in service.columns]
    first = Recommendations([Recommendation("a", 0.25, 4)], 0, 0, 40, 0, 0)
    second = Recommendations([Recommendation("a", 0.5, 31)], 0, 0, 40, 0, 0)
    answers = [ColumnAnswer(i, r) for i, r in zip(infos, (first, second), strict=True)]
    values = {"link": "a", "id": "a", "title": "Title", "creator": "Creator", "rank": "4"}
    more = {"byline": "Creator \u00b7 1999", "cover": card().cover, "other": "31"}
    row = filled(made["hllm row one"], **values, **more, score="0.250", width="100.0")
    html = filled(made["hllm head"], candidates="40 items")
    html += filled(made["hllm list"], **{"=rows": row})
    assert html == render_column(*answers, {"a": card()})


def test_every_text_of_an_item_has_a_gap(made):
    assert all("%E2%9F%A6" not in html for html in made.values())
    assert not any(str(sign) in html for html in made.values() for sign in (987_654_321, 7_777))


def test_change_of_what_is_drawn_is_noticed():
    with pytest.raises(ValueError, match="there is no 'x' for <gap>"):
        gaps("<p>y</p>", {"x": "<gap>"})
    with pytest.raises(ValueError, match="there is nothing like"):
        split("<p>y</p>", "<b>", "")
