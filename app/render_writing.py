"""What the drawer shows of an item or a wish that a visitor has written, as an HTML string.

Pure, like app.render, whose rules hold here too.
"""

from app.languages import marked, tr
from app.render import text
from app.render_detail import (
    part,
    render_given,
    render_head,
    render_similar,
    render_spaces,
    render_standing,
)
from app.writing import Writing

ALONE = marked(
    "The wish is taken for a history of one item. HLLM predicts what readers of such an item take "
    "next; MiniLM finds similar texts. Models that know items by number find nothing."
)
BY_ID = marked(
    "A model that knows items by their ids could do nothing with it: nobody has clicked it yet, so "
    "it would have learned nothing of it."
)


def render_writing(writing: Writing) -> str:
    """Everything about what was written."""
    detail = writing.detail
    if not writing.is_wish:
        return "".join(
            (
                render_head(detail, "yours"),
                _unread(writing),
                render_standing(detail),
                render_similar(detail),
                _encoded(writing),
                render_given(detail.text),
            )
        )
    lists = [
        (column.info, [(i.item_id, i.score) for i in writing.alone.get(column.info.key, ())])
        for column in detail.columns
    ]
    return "".join(
        (
            render_spaces(tr("Recommended for it"), tr(ALONE), lists, detail.cards),
            render_similar(detail),
            _encoded(writing),
            render_given(detail.text),
        )
    )


def _unread(writing: Writing) -> str:
    if not writing.unread:
        return ""
    info = writing.detail.columns[writing.lead].info
    words = tr(
        "{model} reads {read}, and not {unread}.",
        model=info.title,
        read=", ".join(info.reads),
        unread=", ".join(writing.unread),
    )
    return f'<p class="hint unread">{text(words)}</p>'


def _encoded(writing: Writing) -> str:
    took = "".join(
        f'<div><dt class="{text(info.key)}-tone">{text(info.title)}</dt>'
        f"<dd><b>{_took(writing.encode_ms.get(info.key), info.message)}</b></dd></div>"
        for info in (column.info for column in writing.detail.columns)
    )
    return part(
        tr("Encoded now, from the text alone"),
        f'<dl class="standing">{took}</dl><p class="hint by-id">{text(tr(BY_ID))}</p>',
    )


def _took(milliseconds: float | None, message: str) -> str:
    return text(message) if milliseconds is None else f"{milliseconds:,.0f} ms"
