"""Writes the page as plain files, part by part: what app.export_static runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.catalog import open_catalog
from app.errors import CatalogError
from app.opening import open_service
from app.service import Service
from app.settings import Settings, writable_dir
from app.shell import shell
from app.static_space import catalog_data
from app.static_space.covers import write_covers
from app.static_space.files import MAX_FILE_BYTES, write_json
from app.static_space.page import write_page
from app.static_space.templates import templates

MIN_ITEMS, MAX_ITEMS = 2, 20_000
Tell = Callable[[str], None]


def write_static(folder: Path, settings: Settings, tell: Tell) -> None:
    """Write the page.

    Args:
        folder: an empty one.
        settings: catalogue and models.
        tell: is told what is done.

    Raises:
        HLLMError: the catalogue is too large for a page, or a model cannot be exported.
    """
    if settings.catalog is not None:
        with open_catalog(settings.catalog) as catalog:
            check_size(catalog.num_items)
    service = open_service(settings)
    try:
        check_size(service.num_items)
        _write_parts(folder, service, writable_dir(settings.data_dir) / "pictures", tell)
    finally:
        service.close()
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CatalogError(
                f"{path.name} would have {path.stat().st_size / 1e6:,.1f} MB, more than hosts of "
                "plain files take: export fewer items, or shorter texts."
            )


def check_size(num_items: int) -> None:
    """Whether a catalogue fits.

    Raises:
        CatalogError: it does not.
    """
    if num_items > MAX_ITEMS:
        raise CatalogError(
            f"The catalogue has {num_items:,} items: a static page takes at most {MAX_ITEMS:,}, "
            "since the browser searches all of them. Import fewer, for example with --k-core."
        )
    if num_items < MIN_ITEMS:
        raise CatalogError(f"The catalogue has {num_items} items: a page needs {MIN_ITEMS}.")


def _write_parts(folder: Path, service: Service, pictures: Path, tell: Tell) -> None:
    hllm, baseline = service.columns
    rankers = [column.wait() for column in service.columns]
    # Not while they load in threads of their own: transformers cannot be imported twice at once.
    from app.static_space import models  # noqa: PLC0415  torch

    items = list(catalog_data.in_order(service.catalog, "popularity"))
    tell(f"{len(items):,} items of {service.catalog_name}")
    covers = write_covers(folder, items, service.covers, pictures)
    tell("covers are written")
    number_of = models.numbered([item.item_id for item in items], rankers)
    written = models.write_hllm(folder, hllm, number_of)
    apart = models.check_like_the_server(written, rankers[0])
    tell(f"both models are written; HLLM's scores are at most {apart:.1g} from the server's")
    details = catalog_data.write_details(folder, service, rankers[0], items)
    infos = [column.info() for column in service.columns]
    data = {
        **catalog_data.catalog_data(service, items, covers),
        "columns": [written.data, models.write_baseline(folder, baseline, number_of)],
        "templates": templates(infos, len(items)),
        "details": details,
        "words": catalog_data.write_words(folder, items),
    }
    write_json(folder, "data/catalog.json.gz", data)
    write_page(folder, shell(service, has_server=False), service.catalog_name)
