"""What the server tells the page of the models to choose from, and of those that answered."""

import threading
from dataclasses import asdict

from app.asking import Asker
from app.contract_models import OffersPayload, ShownPayload
from app.languages import tr, tr_reason
from app.places import place
from app.service import Service
from hllm.errors import HLLMError


class Offers(Asker):
    """Lists what is installed; one list at a time is made, since it reads the model folders."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self._places = threading.BoundedSemaphore(1)

    def payload(self) -> OffersPayload:
        """Everything that is installed, whether it fits the catalogue or not."""
        if self._service.models is None:
            return {"offers": [], "message": tr("There are no other models here.")}
        try:
            with place(self._places):
                found = self._service.models.offers()
        except HLLMError as error:
            return {"offers": [], "message": tr_reason(error)}
        return {"offers": [{**asdict(offer)} for offer in found], "message": ""}  # type: ignore[typeddict-item]


def shown_payload(service: Service) -> ShownPayload:
    """The models of a service that is seen with those of a question."""
    left, right = service.columns
    pair = service.pair
    return {
        "left": pair[0],
        "right": pair[1],
        "left_title": tr(left.title),
        "right_title": tr(right.title),
        "usual": service.models is None or pair == service.models.default,
        "counts": service.counts_picks,
    }
