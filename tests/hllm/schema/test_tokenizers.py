"""Tokenizers of strangers: no code of theirs runs, whatever their files say."""

import pytest

from hllm.checkpoint import load_model
from hllm.schema import tokenizers
from hllm.schema.tokenizers import check_tokenizer_files, read_tokenizer
from tests.hllm.schema.spoiling import change, refused


@pytest.mark.parametrize(
    "settings",
    [
        {"auto_map": {"AutoTokenizer": ["tokenization_evil.Evil", "tokenization_evil.Evil"]}},
        {"auto_map": {"AutoTokenizer": [None, "evil.Evil"]}, "tokenizer_class": "Evil"},
        {"tokenizer_class": "Evil"},
        {"tokenizer_class": "MistralCommonBackend"},
        {"tokenizer_class": ["LlamaTokenizer"]},
        {"tokenizer_class": "__class__"},
        {"backend": "custom"},
        {"trust_remote_code": True},
        {"gguf_file": "x.gguf"},
    ],
)
def test_a_tokenizer_never_runs_code(folder, settings):
    change(folder / "tokenizer_config.json", **settings)
    message = refused(load_model, folder)
    assert "tokenizer_config.json" in message


def test_a_tokenizer_of_another_model_is_refused(folder):
    assert "ids up to 258" in refused(read_tokenizer, folder, 100)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_file_beyond_its_bound_is_not_read(folder, name, monkeypatch):
    monkeypatch.setitem(tokenizers._MOST_BYTES, name, (folder / name).stat().st_size)
    check_tokenizer_files(folder)
    monkeypatch.setitem(tokenizers._MOST_BYTES, name, (folder / name).stat().st_size - 1)
    assert "is larger than" in refused(read_tokenizer, folder, 259)


def test_a_folder_without_a_tokenizer_says_what_to_copy(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    check_tokenizer_files(tmp_path / "empty")
    assert "copy the Item LLM's tokenizer files" in refused(read_tokenizer, tmp_path / "empty", 259)


def test_ids_that_just_fit_are_accepted_and_are_those_that_were_saved(folder, tokenizer):
    read = read_tokenizer(folder, 259)
    texts = ["Dune", "", "日本 <s> \u202e"]
    assert read(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert "258" in refused(read_tokenizer, folder, 258)


@pytest.mark.parametrize("known", ["LlamaTokenizer", "LlamaTokenizerFast", None])
def test_classes_of_transformers_are_allowed(folder, known):
    change(folder / "tokenizer_config.json", tokenizer_class=known)
    check_tokenizer_files(folder)
