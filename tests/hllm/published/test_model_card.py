"""The card of a converted model says where it comes from and whose licences hold."""

import pytest
import torch

from hllm.published.model_card import Origin, model_card


@pytest.fixture
def config(make_model):
    config = make_model(item_prompt="Compress: ", text_keys=["title", "tag"]).config
    config.dtype = torch.bfloat16
    return config


def row(card, name):
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {name} |")]
    return line.split("|")[2].strip()


def test_what_the_model_reads_is_in_the_table(config):
    card = model_card(config, Origin(), "x.bin")
    assert row(card, "Source") == "`x.bin`, a checkpoint of the reference implementation"
    assert row(card, "Trained on") == "not recorded"
    assert row(card, "Item LLM") == row(card, "User LLM") == "llama, 2 layers x 32"
    assert row(card, "Text keys") == "title, tag"
    assert row(card, "Prompt") == "`Compress: `"
    assert row(card, "Text tokens") == "at most 96, then the [ITEM] token"
    assert row(card, "History") == "the last 6 items"
    assert row(card, "Weights") == "bfloat16"


def test_a_prompt_of_blanks_is_none_and_few_bits_are_said(config):
    config.item_prompt = "  "
    config.quantization_config = {"quant_method": "bitsandbytes"}
    card = model_card(config, Origin(), "x.bin")
    assert row(card, "Prompt") == "none"
    assert row(card, "Weights").startswith("matrices of both language models in NF4")
    assert row(card, "Weights").endswith("the others bfloat16")


@pytest.mark.parametrize(
    ("base", "licence", "words"),
    [
        ("TinyLlama", "apache-2.0", "TinyLlama-1.1B: Apache-2.0"),
        ("Baichuan2", "other", "Community License for Baichuan 2"),
        ("", "other", "that of the base models"),
    ],
)
def test_the_licence_is_that_of_the_base_too(config, base, licence, words):
    origin = Origin.published("1B_Books", "Amazon Books", base)
    card = model_card(config, origin, "pytorch_model.bin")
    assert card.startswith("---\n") and f"license: {licence}\n" in card.split("---")[1]
    assert words in card.split("## Licence")[1]
    assert row(card, "Trained on") == "Amazon Books"
    assert row(card, "Source").endswith("/1B_Books/pytorch_model.bin")
