"""docs/data-card.md: the simulated readers."""

import pytest

from tests.guides.pages import block


@pytest.mark.long
def test_readers_are_simulated(reader):
    said = reader.types(block("data-card.md", "simulate"))
    assert "484,701" in said
