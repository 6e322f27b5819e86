"""The one list of a blind test as HTML: nothing in it tells which model drafted an item.

Pure, like app.render, whose rules hold here too.
"""

from app.cards import Card
from app.catalog import ItemFilter
from app.languages import tr
from app.render import cover, info_button, item_data, text
from app.render_recommendations import item_words, nothing_left
from app.service import Answer


def render_blind(answer: Answer, seed: str, item_filter: ItemFilter) -> str:
    """The list, or why there is none.

    Args:
        answer: with columns.
        seed: of the test, which the page sends back with a pick.
        item_filter: what was left out, in case nothing remains.
    """
    if answer.blind is None:
        why = " ".join(c.info.message for c in answer.columns if c.result is None)
        return (
            f'<div class="column-message" role="note"><p>{tr("The blind test needs both models.")} '
            f'{text(why)}</p><button type="button" class="button" data-action="leave-blind">'
            f"{tr('Back to both lists')}</button></div>"
        )
    rows = "".join(
        _row(answer.cards[draft.item_id], position)
        for position, draft in enumerate(answer.blind.drafts, 1)
        if draft.item_id in answer.cards
    )
    if not rows:
        candidates = [c.result.num_candidates for c in answer.columns if c.result is not None]
        return nothing_left(item_filter, max(candidates))
    return (
        f'<ol class="recs" aria-label="{tr("Recommendations of both models")}" '
        f'data-seed="{text(seed)}">'
        f"{rows}</ol>"
    )


def _row(card: Card, position: int) -> str:
    return (
        f'<li><a role="button" class="rec item" {item_data(card, "blind")} '
        f'data-rank="{position}"><span class="rank">{position}</span>{cover(card)}'
        f'<span class="rec-text">{item_words(card)}</span></a>{info_button(card)}</li>'
    )
