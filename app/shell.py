"""The frame of the page for a catalogue: the same one with a server and without."""

from app.languages import marked, tr
from app.render import render_shell
from app.service import Service
from app.settings import ROOT

BOOKS_ORIGIN = marked(
    "The books are real; the readers that the built-in HLLM has learned from are simulated "
    "(docs/data-card.md)."
)


def shell(service: Service, *, has_server: bool = True) -> str:
    """The frame of the page for a catalogue.

    Args:
        service: over the catalogue.
        has_server: False for the plain files of app.export_static.
    """
    return render_shell(
        (ROOT / "assets" / "page.html").read_text("utf-8"),
        catalog_name=service.catalog_name,
        catalog_key=service.key,
        catalogs={one.name: one.key for one in service.installed.values()},
        catalog_size=service.num_items,
        categories=service.categories,
        price_range=service.price_range,
        has_popularity=service.has_popularity,
        origin=tr(BOOKS_ORIGIN) if service.is_built_in else "",
        events_days=service.events.days,
        has_server=has_server,
    )
