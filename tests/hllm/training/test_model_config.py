"""From options to a configuration: packaged language models, LoRA of both, first layers only."""

import pytest

from hllm.errors import DataError, MissingWeightsError
from hllm.training.model_config import make_config
from hllm.training.options import ModelOptions
from hllm.weights.packaged import MINILM, SMOLLM2, pretrained_folder
from tests.hllm.gguf_files import install


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch)
    return {"item_llm": "tiny", "user_llm": "tiny", "item_adapter": "none"}


def test_first_layers_of_both(tiny):
    config = make_config(ModelOptions(**tiny, item_llm_layers=1, user_llm_layers=2))
    assert config.item_config.num_hidden_layers == 1
    assert config.user_config.num_hidden_layers == 2
    whole = make_config(ModelOptions(**tiny))
    assert whole.item_config.num_hidden_layers == whole.user_config.num_hidden_layers == 3


@pytest.mark.parametrize("option", ["item_llm_layers", "user_llm_layers"])
def test_more_layers_than_there_are(tiny, option):
    with pytest.raises(DataError, match=f"--{option} 31: this language model has 3 layers"):
        make_config(ModelOptions(**tiny, **{option: 31}))


def test_layers_of_a_bert_and_of_none(tmp_path):
    assert make_config(ModelOptions(item_llm_layers=2)).item_config.num_hidden_layers == 2
    with pytest.raises(DataError, match="--user_llm_layers counts those of --user_llm"):
        ModelOptions(user_llm_layers=2)


def test_what_lies_over_a_package(tiny):
    assert make_config(ModelOptions()).item_base == MINILM
    config = make_config(ModelOptions(**tiny, user_training="lora"))
    assert (config.item_base, config.user_base) == ("tiny", "tiny")
    assert config.user_lora["r"] == 8 and config.item_lora is None
    whole = make_config(ModelOptions(**tiny))  # all of the User LLM is trained: all of it is saved
    assert (whole.user_base, whole.user_lora) == (None, None)
    random = make_config(ModelOptions(**tiny, item_pretrained=False))
    assert random.item_base is None  # no package holds random weights


def test_lora_needs_weights_to_keep():
    for changes in ({}, {"user_llm": "smollm2-135m", "user_pretrained": False}):
        with pytest.raises(DataError, match="--user_training lora keeps pretrained weights"):
            ModelOptions(user_training="lora", **changes)


def test_the_real_one_by_both_names():
    try:
        pretrained_folder(SMOLLM2)
    except MissingWeightsError as error:
        pytest.skip(str(error))
    for name in (SMOLLM2, "smollm2-135m"):
        config = make_config(
            ModelOptions(item_llm=name, user_llm=name, user_training="lora", item_adapter="none")
        )
        assert (config.item_base, config.user_base) == (SMOLLM2, SMOLLM2)
        assert config.item_size == config.embedding_size == 576
        assert config.item_config.num_hidden_layers == 30
        assert config.item_config.rope_parameters["rope_theta"] == 100_000
    with pytest.raises(DataError, match="--user_llm_layers 31: this language model has 30 layers"):
        make_config(ModelOptions(user_llm=name, user_llm_layers=31))
    with pytest.raises(DataError, match="qlora does not read"):
        ModelOptions(item_llm=name, item_training="qlora")
