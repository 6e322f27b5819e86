"""Sentencepiece files as tokenizers of transformers, against sentencepiece itself."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from hllm.errors import CheckpointError
from hllm.published.tokenizer import portable_tokenizer

sentencepiece = pytest.importorskip("sentencepiece")

TEXTS = [
    "", "Dune", "  two  blanks   three    four ", "tab\tnew\nline", "emoji \U0001f600 \u00bd",
    "123 4567", "Les Mis\u00e9rables", "\u81ea\u7136\u8bed\u8a00 \u662f", "a" * 50,
    "\u2581 under",
]  # fmt: skip


def lines_of(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def train_pieces(folder, settings=None, **options):
    """A sentencepiece model as Baichuan2's: BPE, byte fallback, digits apart, no normalisation."""
    corpus = [
        line for path in sorted(Path(__file__).parents[1].rglob("*.py")) for line in lines_of(path)
    ]
    defaults = {
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus[:600]),
        model_prefix=str(folder / "tokenizer"),
        vocab_size=700,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        character_coverage=0.99,
        minloglevel=2,
        **defaults | options,
    )
    values = {
        "tokenizer_class": "BaichuanTokenizer",
        "add_bos_token": False,
        "auto_map": {"AutoTokenizer": ["tokenization_baichuan.BaichuanTokenizer", None]},
        "pad_token": {"__type": "AddedToken", "content": "<unk>"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(values | (settings or {})))
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


@pytest.mark.parametrize(
    "options",
    [
        {"user_defined_symbols": ["<reserved_1>", "\u2581" * 3]},
        {"add_dummy_prefix": True},
        {"add_dummy_prefix": True, "remove_extra_whitespaces": True},
        {"normalization_rule_name": "nmt_nfkc"},
    ],
    ids=["baichuan2", "prefix", "stripped", "nfkc"],
)
def test_an_equal_tokenizer_without_its_code(tmp_path, options):
    pieces = train_pieces(tmp_path, **options)
    portable_tokenizer(tmp_path).save_pretrained(tmp_path / "saved")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in [
        *TEXTS,
        "x <reserved_1> y",
        *lines_of(Path(__file__).with_name("reference_states.py")),
    ]:
        assert tokenizer(text)["input_ids"] == pieces.encode(text), text
    assert tokenizer.pad_token == tokenizer.unk_token == "<unk>"
    assert tokenizer.decode(pieces.encode("A Tale of Two Cities")) == "A Tale of Two Cities"
    # The reference parses special tokens that are written in a text.
    assert tokenizer("a</s>b")["input_ids"].count(pieces.eos_id()) == 1
    assert "auto_map" not in (tmp_path / "saved" / "tokenizer_config.json").read_text()


def test_bos_in_front(tmp_path):
    pieces = train_pieces(tmp_path, {"add_bos_token": True})
    tokenizer = portable_tokenizer(tmp_path)
    assert tokenizer("Dune")["input_ids"] == [pieces.bos_id(), *pieces.encode("Dune")]


def test_what_cannot_be_exact_is_refused(tmp_path):
    train_pieces(tmp_path, add_dummy_prefix=True, user_defined_symbols=["<x>"])
    with pytest.raises(CheckpointError, match="cannot be translated exactly"):
        portable_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"no protobuf at all")
    with pytest.raises(CheckpointError, match="holds no tokenizer that can be read"):
        portable_tokenizer(tmp_path)


def test_a_tokenizer_json_is_used_as_it_is(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "LlamaTokenizer"}
    path.write_text(json.dumps(settings))  # whose own class would split text another way
    portable_tokenizer(tmp_path).save_pretrained(tmp_path / "saved")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "saved")
    for text in TEXTS:
        assert loaded(text)["input_ids"] == tokenizer(text)["input_ids"], text
