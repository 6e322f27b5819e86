"""Recommendations for a file: those of the recommender, user by user, also after a stop."""

import csv
import gzip
import random

import pytest

import hllm.bulk
from hllm.bulk import recommend_file
from hllm.commands.recommend import main
from hllm.histories import Histories
from hllm.recommend import Recommender

ITEM_IDS = [f'i"{n}' for n in range(30)]  # of embedded_model


@pytest.fixture
def histories(tmp_path):
    """40 users with 1 to 12 items (the model reads 6), one of whom has only an unknown item."""
    rng = random.Random(3)
    users = {f"user {u}, x": rng.sample(ITEM_IDS, 1 + u % 12) for u in range(40)}
    with (tmp_path / "h.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["item_id", "timestamp", "user_id"])
        for user, items in users.items():
            writer.writerows([item, time, user] for time, item in enumerate(items))
        writer.writerows([["gone", 1, "user 0, x"], ["gone", 1, "nobody"]])
    return tmp_path / "h.csv", users


def read(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", ["top.csv", "new/top.csv.gz"])
def test_every_user_gets_what_recommend_finds(embedded_model, histories, tmp_path, name, caplog):
    path, users = histories
    caplog.set_level("INFO")
    output = tmp_path / name
    arguments = ["--model", embedded_model, "--histories", path, "--output", output, "--top-k", 4]
    assert main([*map(str, arguments)]) == 0
    recommender = Recommender.from_pretrained(embedded_model)
    rows = read(output)
    assert list(rows[0]) == ["user_id", "rank", "item_id", "score"]
    assert list(dict.fromkeys(row["user_id"] for row in rows)) == list(users)
    for user, items in users.items():
        own = [row for row in rows if row["user_id"] == user]
        expected = recommender.recommend(items, top_k=4).items
        assert [int(row["rank"]) for row in own] == [1, 2, 3, 4]
        assert [row["item_id"] for row in own] == [item.item_id for item in expected]
        for row, item in zip(own, expected, strict=True):
            assert float(row["score"]) == pytest.approx(item.score, abs=2e-6)
    assert "2 items of histories have no embedding" in caplog.text
    assert "40 users" in caplog.text
    assert [p.name for p in output.parent.iterdir() if "unfinished" in p.name] == []


def test_a_stopped_run_goes_on(embedded_model, histories, tmp_path, monkeypatch):
    path, _ = histories
    monkeypatch.setattr(hllm.bulk, "USERS_PER_BLOCK", 7)
    monkeypatch.setattr(hllm.bulk, "SECONDS_PER_NOTE", -1)
    recommender, asked = Recommender.from_pretrained(embedded_model), []
    plain = recommender.recommend_all

    def run(output, stop_after=10**6, made_from="x"):
        def recommend_all(block, **options):
            if len(asked) >= stop_after:
                raise KeyboardInterrupt
            asked.append(len(block))
            return plain(block, **options)

        monkeypatch.setattr(recommender, "recommend_all", recommend_all)
        with Histories(path) as found:
            return recommend_file(recommender, found, output, top_k=3, made_from=made_from)

    run(tmp_path / "whole.csv")
    asked.clear()
    for stop_after in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "top.csv", stop_after)
        assert not (tmp_path / "top.csv").exists()
        with (tmp_path / "top.csv.unfinished").open("a") as file:
            file.write("a torn li")
    counts = run(tmp_path / "top.csv")
    assert sum(asked) == 40  # nobody twice
    assert (counts.users, counts.users_left_out, counts.unknown_items) == (41, 1, 2)
    assert (tmp_path / "top.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "other.csv", len(asked) + 1)
    asked.clear()
    run(tmp_path / "other.csv", made_from="another model")
    assert sum(asked) == 40
