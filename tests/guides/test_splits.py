"""docs/splits.md: three files as their authors publish them."""

import csv

import pytest

from tests.guides.pages import block


@pytest.mark.long
def test_a_published_split(games):
    with (games.folder / "data/games/interactions.csv").open() as file:
        rows = list(csv.DictReader(file))
    users = {}
    for row in rows:
        users.setdefault(row["user_id"], []).append(
            [row["user_id"], row["item_id"], "5.0", row["timestamp"]]
        )
    parts = {"train": [], "valid": [], "test": []}
    for history in users.values():
        parts["train"] += history[:-2]
        parts["valid"].append(history[-2])
        parts["test"].append(history[-1])
    for name, lines in parts.items():
        with (games.folder / f"Video_Games.{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["user_id", "parent_asin", "rating", "timestamp"], *lines])
    games.types("cp data/games/items.csv .")
    assert "recall@10" in games.types(block("splits.md", "published"))
