"""Pieces of the page's HTML as a browser sees them, and cards to make them of."""

from html.parser import HTMLParser

from app.cards import Card


class Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would see them."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append(dict(attrs))

    def handle_data(self, data):
        self.text += data


def assert_only_text(html, text):
    """What is not ours stands in the HTML as text, and nothing of it runs or loads."""
    read = Reader(html)
    assert text in read.text
    assert "script" not in read.tags
    assert not any(name.startswith("on") for names in read.attributes for name in names)
    pictures = ("covers?", "data:image/svg+xml,")  # the second: drawn covers of written items
    assert all(names["src"].startswith(pictures) for names in read.attributes if "src" in names)


def card(item_id="a", title="Title", creator="Creator"):
    return Card(item_id, title, creator, "1999", "covers?item=a&v=0", "About it.")


def hostile_card(text):
    return Card(text, text, text, text, "covers?item=a&v=0", text)
