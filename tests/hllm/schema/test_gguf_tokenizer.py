"""The tokenizer of a GGUF, compared with transformers' own reading of such files."""

import pytest
from transformers import AutoTokenizer

from hllm.errors import CheckpointError, MissingWeightsError
from hllm.schema.gguf_header import gguf_in, read_gguf
from hllm.schema.gguf_tokenizer import gguf_tokenizer
from hllm.weights.packaged import SMOLLM2, pretrained_folder
from tests.hllm.gguf_files import WORDS, write_gguf

# transformers splits digits off only where no token joins them, which SmolLM's tokens never do; but
# digits of other scripts are left to it in one piece.
ODD = [
    "Foundation and Empire, by Isaac Asimov.", "a  b\n\n\tc", " lead", "trail  ", "don't I'LL",
    "été 日本語 \U0001f600 ﬁ", "12 345 1a2b 1984", "<|im_start|>user", "x<|endoftext|>y",
    "\x00\x01\x7f", "\u00a0nb\u200d", "A_B-C/D (1965)", " " * 40, "", "\xff\xfe", "naïve\u0301",
    "ZOË", "the The THE",
]  # fmt: skip


def check(path):
    own = gguf_tokenizer(read_gguf(path))
    oracle = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for text in ODD:
        assert own(text)["input_ids"] == oracle(text)["input_ids"], text
    for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(own, name) == getattr(oracle, name)
    assert own.get_vocab() == oracle.get_vocab()
    return own


def test_it_cuts_as_transformers_does(tmp_path):
    own = check(write_gguf(tmp_path / "tiny.gguf"))
    assert own.tokenize("the the 1965") == ["the", "Ġthe", "Ġ", "1", "9", "6", "5"]
    assert own.decode(own("the été 日本 12")["input_ids"]) == "the été 日本 12"
    assert own.tokenize("²³") == ["Â", "²", "Â", "³"]  # a digit of any script is cut off


@pytest.mark.slow
def test_the_real_one_cuts_as_transformers_does():
    try:
        folder = pretrained_folder(SMOLLM2)
    except MissingWeightsError as error:
        pytest.skip(str(error))
    own = check(gguf_in(folder))
    assert len(own) == 49_152
    assert own.tokenize("Dune 1965") == ["D", "une", "Ġ", "1", "9", "6", "5"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model", "llama", "tokenizer.ggml.model is .*not read here"),
        ("pre", "qwen2", "tokenizer.ggml.pre is .*not read here"),
        ("add_bos_token", True, "tokenizer.ggml.add_bos_token is .*not read here"),
        ("merges", ["a b c"], "no tokenizer .a merge is no pair"),
        ("merges", ["a quite-unknown"], "holds no tokenizer"),
        ("token_type", [1, 2], "do not fit together"),
        ("tokens", ["a"] * len(WORDS), "do not fit together"),
        ("tokens", [3] * len(WORDS), "holds no tokenizer"),
        ("bos_token_id", 10**6, "holds no tokenizer"),
    ],
)
def test_another_or_a_damaged_one_is_refused(tmp_path, key, value, message):
    path = write_gguf(tmp_path / "tiny.gguf", metadata={f"tokenizer.ggml.{key}": value})
    with pytest.raises(CheckpointError, match=message) as caught:
        gguf_tokenizer(read_gguf(path))
    assert "\n" not in str(caught.value)


def test_a_part_that_is_missing_is_one_clear_error(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf", without=["tokenizer.ggml.merges"])
    with pytest.raises(CheckpointError, match=r"holds no tokenizer .'merges'"):
        gguf_tokenizer(read_gguf(path))
