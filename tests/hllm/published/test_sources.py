"""What is known of the published checkpoints: the values of the authors' own commands."""

import re
from pathlib import Path

import pytest

from hllm.published.sources import PUBLISHED, SourceSettings

GUIDE = Path(__file__).parents[3] / "docs" / "checkpoints.md"


def test_presets_are_the_published_models():
    assert [(p.text_keys, p.max_history, p.max_text_tokens) for p in PUBLISHED.values()] == [
        (("title", "tag", "description"), 10, 256),
        *[(("title", "description"), 50, 256)] * 3,
    ]
    assert PUBLISHED["HLLM-7B-Books"].origin.base == "Baichuan2"


def test_all_published_models_pool_with_the_item_token_and_share_the_prompt():
    assert {p.item_pooling for p in PUBLISHED.values()} == {"item_token"}
    assert {p.item_prompt for p in PUBLISHED.values()} == {
        "Compress the following sentence into embedding: "
    }


def test_the_guide_links_to_the_same_files_and_names_the_same_bases():
    rows = re.findall(
        r"\| `(HLLM-\S+)` \| \[\w+\]\((https:\S+)\) \| (\w+)", GUIDE.read_text(encoding="utf-8")
    )
    assert rows == [(name, p.origin.source, p.origin.base) for name, p in PUBLISHED.items()]
    folders = [source.split("/")[-2] for _, source, _ in rows]
    assert folders == ["1B_Pixel8M", "1B_books_neg512", "1B_books", "7B_books"]


def test_of_a_model_of_ones_own_only_the_texts_must_be_said():
    with pytest.raises(TypeError, match="text_keys"):
        SourceSettings()
    origin = SourceSettings(text_keys=("title",)).origin
    assert (origin.source, origin.data, origin.base) == ("", "", "")
