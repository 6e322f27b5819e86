"""What is known of the published checkpoints: the values of the authors' own commands."""

from hllm.published.sources import PUBLISHED, SourceSettings


def test_presets_are_the_published_models():
    assert [(p.text_keys, p.max_history, p.max_text_tokens) for p in PUBLISHED.values()] == [
        (("title", "tag", "description"), 10, 256),
        *[(("title", "description"), 50, 256)] * 3,
    ]
    assert PUBLISHED["HLLM-7B-Books"].origin.base == "Baichuan2"
