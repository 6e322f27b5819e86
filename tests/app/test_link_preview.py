"""What other sites show of a link to the page."""

from app.link_preview import with_link_preview

GRADIO = b"""<html><head>
    <meta charset="utf-8" />
    <meta property="og:title" content="Gradio" />
    <meta property="og:url" content="{url}" />
    <meta
        property="og:image"
        content="https://raw.githubusercontent.com/x.jpg"
    />
    <meta name="twitter:creator" content="@Gradio" />
    <title>T</title></head><body>og:title</body></html>"""


def test_tags_of_gradio_give_way_to_ours():
    page = with_link_preview(GRADIO).decode()
    assert '<meta property="og:title" content="HLLM Live">' in page
    assert "baseline" in page and "Gradio" not in page and "{url}" not in page
    assert "githubusercontent" not in page
    assert '<meta charset="utf-8" />' in page and "<body>og:title</body>" in page
