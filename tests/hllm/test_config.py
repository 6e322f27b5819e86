"""The configuration of a model: what it reads of an item, and what it refuses."""

import pytest

from hllm.config import HLLMConfig


def test_the_text_of_an_item_is_made_of_this_models_keys_and_prompt():
    config = HLLMConfig(text_keys=["title", "tag"], item_prompt="Read: ")
    fields = {"tag": "novel", "title": "Emma", "description": "not read"}
    assert config.item_text(fields) == "Read: title: Emmatag: novel"
    assert config.item_text({}) == "Read: "
    assert config.item_text(None) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"item_pooling": "max"}, "item_pooling 'max'.*item_token, mean"),
        ({"item_adapter": "conv"}, "item_adapter 'conv'"),
        ({"objective": "rating"}, "objective 'rating'"),
        ({"max_history": 0}, "max_history 0: must be at least 1"),
    ],
)
def test_settings_that_no_model_has_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HLLMConfig(**options)
