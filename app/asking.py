"""What the page's questions are put to, seen with what a visitor has chosen."""

import copy
from typing import Any, Self

from app.service import Service


class Asker:
    """Answers questions over a service.

    Args:
        service: whose columns are asked.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def seen_with(self, raw: Any) -> Self:
        """The same, of the catalogue and the models that a page names; see Service.seen_with."""
        service = self._service.seen_with(raw)
        if service is self._service:
            return self
        view = copy.copy(self)
        view._service = service
        return view
