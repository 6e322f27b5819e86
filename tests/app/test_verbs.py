"""What programs can ask: all of it described and typed, for Gradio and MCP alike."""

import inspect

import pytest

from app.errors import CatalogError
from app.verbs import TOLD, verbs_of
from tests.app.test_api import VERBS


def test_each_verb_describes_every_argument(service):
    for verb in verbs_of(service):
        described = inspect.getdoc(verb)
        parameters = inspect.signature(verb).parameters
        assert list(parameters) == VERBS[verb.__name__]
        for name, parameter in parameters.items():
            assert f"    {name}: " in described and parameter.annotation is not parameter.empty
        assert "Returns:" in described


def test_what_has_no_answer_raises_a_sentence(service):
    verbs = {verb.__name__: verb for verb in verbs_of(service)}
    assert set(verbs) == set(VERBS)
    with pytest.raises(ValueError, match="no item 'nothing'"):
        verbs["item"]("nothing")
    service.catalog.path.unlink()
    with pytest.raises(CatalogError, match="cannot be read"):
        verbs["search"]("")
    assert CatalogError in TOLD
