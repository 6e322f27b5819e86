"""What other sites show of a link to the page: Gradio's tags would name Gradio and its picture."""

import re
from html import escape

_TAGS = re.compile(rb'\s*<meta\s[^>]*(?:property="og:|name="twitter:|name="description")[^>]*>')
_HEAD = re.compile(rb"<head>", re.I)
_TITLE = "HLLM Live"
_DESCRIPTION = (
    "Click items and watch a hierarchical large language model (HLLM) predict the next one, "
    "beside a plain text baseline."
)


def with_link_preview(page: bytes) -> bytes:
    """An HTML page with our tags for link previews in place of those it has."""
    tags = "".join(
        f'<meta {kind}="{name}" content="{escape(content, quote=True)}">'
        for kind, name, content in (
            ("name", "description", _DESCRIPTION),
            ("property", "og:type", "website"),
            ("property", "og:title", _TITLE),
            ("property", "og:description", _DESCRIPTION),
            ("name", "twitter:card", "summary"),
        )
    )
    return _HEAD.sub(lambda head: head[0] + tags.encode(), _TAGS.sub(b"", page), count=1)
