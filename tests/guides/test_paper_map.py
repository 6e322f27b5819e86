"""docs/paper-map.md: a training that computes as the reference does."""

import pytest

from tests.guides.pages import inline


@pytest.mark.long
def test_a_training_as_the_reference_does_it(games):
    command = inline("paper-map.md", "python -m hllm.train --reference_compatible True")
    data = "--items data/games/items.csv --interactions data/games/interactions.csv"
    said = games.types(f"{command} {data} --output runs/reference --max_steps 2")
    assert "best ndcg@10" in said and "--reference-compatible" in said
