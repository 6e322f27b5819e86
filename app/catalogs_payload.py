"""What the server tells the page of the catalogues to choose from."""

from app.contract_catalogs import CatalogPayload, CatalogsPayload
from app.languages import tr
from app.render import plural
from app.service import Service


def catalogs_payload(service: Service) -> CatalogsPayload:
    """Everything that is installed, whether it has models or not."""
    return {"catalogs": [_payload(one) for one in service.installed.values()]}


def _payload(service: Service) -> CatalogPayload:
    if service.models is None:
        models = [(tr(column.title), "", "") for column in service.columns]
    else:
        models = [(o.title, o.problem, o.remedy) for o in service.models.default_offers()]
    return {
        "name": service.name,
        "title": service.catalog_name,
        "size": plural(service.num_items, "item"),
        "models": [
            {"title": title, "problem": problem, "remedy": remedy}
            for title, problem, remedy in models
        ],
    }
