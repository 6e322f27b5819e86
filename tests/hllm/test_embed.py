"""Embedding a catalogue: equal to one item at a time, resumable, only what changed."""

import threading

import pytest
import torch

import hllm.embed
import hllm.embedder
import hllm.item_states
from hllm.checkpoint import load_model, save_model
from hllm.embed import (
    embed_elsewhere,
    embed_items,
    encode_catalog,
    encode_tokens,
    stored_or_encoded,
)
from hllm.store import EMBEDDINGS, ItemEmbeddings
from hllm.text import token_batches, tokenize

TEXTS = [(f"i{n}", f"title: {'word ' * (n % 7)}{n}") for n in range(40)]


@pytest.fixture
def encoded(monkeypatch):
    """Texts that went through the Item LLM, in order."""
    seen = []
    real = hllm.embed.item_batches

    def counting(model, tokenizer, texts, **options):
        for places, vectors in real(model, tokenizer, texts, **options):
            seen.extend(texts[place] for place in places)
            yield places, vectors

    monkeypatch.setattr(hllm.embed, "item_batches", counting)
    return seen


def test_batches_hold_every_row_once_within_the_budget():
    ids = [[0] * (n * 7 % 31) for n in range(100)]
    batches = list(token_batches(ids, 64))
    assert sorted(row for batch in batches for row in batch) == list(range(100))
    assert all(len(b) == 1 or len(b) * (max(len(ids[r]) for r in b) + 1) <= 64 for b in batches)


def test_batched_embeddings_equal_one_item_at_a_time(tiny_model, tokenizer):
    texts = [text for _, text in TEXTS] + [TEXTS[0][1], ""]
    limit = tiny_model.config.max_text_tokens
    fast = encode_catalog(tiny_model, tokenizer, texts, tokens_per_batch=100, progress=False)
    with torch.inference_mode():
        slow = torch.cat(
            [tiny_model.encode_items(tokenize(tokenizer, [text], limit)) for text in texts]
        )
    assert torch.allclose(fast, slow, atol=1e-5)


def test_texts_are_tokenised_ahead_and_none_is_lost(tiny_model, tokenizer, monkeypatch):
    whole = encode_catalog(tiny_model, tokenizer, [text for _, text in TEXTS], progress=False)
    monkeypatch.setattr(hllm.embed, "TEXTS_AT_ONCE", 7)
    threads = []

    def counting(*arguments):
        threads.append(threading.current_thread() is threading.main_thread())
        return tokenize(*arguments)

    monkeypatch.setattr(hllm.embed, "tokenize", counting)
    cut = encode_catalog(tiny_model, tokenizer, [text for _, text in TEXTS], progress=False)
    assert threads == [False] * 7  # 40 texts, and a last look at nothing
    torch.testing.assert_close(cut, whole)


def test_second_run_encodes_nothing_and_changed_text_alone(model_folder, tmp_path, encoded):
    output = tmp_path / "e.safetensors"
    first = embed_items(model_folder, TEXTS, output, progress=False)
    assert len(encoded) == len(TEXTS)
    encoded.clear()
    embed_items(model_folder, TEXTS, output, progress=False)
    assert encoded == []
    changed = [*TEXTS[:-1], ("i39", "title: another text"), ("new", TEXTS[3][1])]
    second = embed_items(model_folder, changed, output, progress=False)
    assert encoded == ["title: another text"]  # the new item's text is another one's, too
    assert torch.equal(second.vectors[:39], first.vectors[:39])
    assert not torch.equal(second.vectors[39], first.vectors[39])
    assert ItemEmbeddings.load(output).item_ids == [item_id for item_id, _ in changed]


def killed(model_folder, output, encoded):
    """A run that ends after more than 20 texts; `encoded` then counts anew."""
    whole = hllm.embed.item_batches

    def dies(*args, **options):
        for batch in whole(*args, **options):
            if len(encoded) > 20:
                raise KeyboardInterrupt
            yield batch

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(hllm.embed, "item_batches", dies)
        embed_items(model_folder, TEXTS, output, progress=False)
    encoded.clear()


def test_killed_run_continues_behind_its_last_part(model_folder, tmp_path, encoded, monkeypatch):
    monkeypatch.setenv("HLLM_CACHE", "")  # the parts beside the output do it alone
    monkeypatch.setattr(hllm.embedder, "SECONDS_PER_PART", 0)  # a part after every batch
    monkeypatch.setattr(hllm.embed, "TEXTS_AT_ONCE", 10)
    output = tmp_path / "e.safetensors"
    killed(model_folder, output, encoded)
    assert not output.exists()
    resumed = embed_items(model_folder, TEXTS, output, progress=False)
    assert len(encoded) == 20
    assert list(tmp_path.glob("*.parts")) == []
    whole = embed_items(model_folder, TEXTS, tmp_path / "whole", progress=False)
    torch.testing.assert_close(resumed.vectors, whole.vectors, atol=1e-3, rtol=1e-3)


def test_changed_model_encodes_everything_again(
    model_folder, tmp_path, encoded, tiny_model, tokenizer
):
    output = tmp_path / "e.safetensors"
    old = embed_items(model_folder, TEXTS, output, progress=False)
    with torch.no_grad():
        tiny_model.item_emb_tokens.add_(0.5)
    save_model(tiny_model, model_folder, tokenizer)
    encoded.clear()
    new = embed_items(model_folder, TEXTS, output, progress=False)
    assert len(encoded) == len(TEXTS)
    assert not torch.equal(new.vectors, old.vectors)


def test_stored_embeddings_are_read_and_the_others_encoded(model_folder, encoded):
    embed_items(model_folder, TEXTS[:30], model_folder / EMBEDDINGS, progress=False)
    encoded.clear()
    model, tokenizer = load_model(model_folder)
    texts = [("", ""), *reversed(TEXTS[1:]), ("i0", "title: another text")]
    vectors = stored_or_encoded(model_folder, model, tokenizer, texts)
    fresh = {"", "title: another text"} | {text for _, text in TEXTS[30:]}
    assert set(encoded) == fresh
    whole = encode_catalog(model, tokenizer, [text for _, text in texts], progress=False)
    assert torch.allclose(vectors, whole, rtol=1e-3, atol=1e-3)  # float16 on disk


def test_damaged_output_is_made_again(model_folder, tmp_path):
    output = tmp_path / "e.safetensors"
    output.write_bytes(b"damaged")
    assert len(embed_items(model_folder, TEXTS, output, progress=False).item_ids) == len(TEXTS)


def test_a_killed_run_continues_from_the_cache(model_folder, tmp_path, encoded, monkeypatch):
    """Whatever command was killed, and wherever the next one writes."""
    monkeypatch.setattr(hllm.embed, "TEXTS_AT_ONCE", 10)
    killed(model_folder, tmp_path / "one", encoded)
    resumed = embed_items(model_folder, TEXTS, tmp_path / "other", progress=False)
    assert len(encoded) == 20
    model, tokenizer = load_model(model_folder)
    whole = encode_catalog(model, tokenizer, [text for _, text in TEXTS], progress=False)
    torch.testing.assert_close(resumed.vectors.float(), whole, atol=1e-3, rtol=1e-3)


def test_another_adapter_encodes_nothing(tmp_path, encoded, make_model, tokenizer):
    """What training with a frozen Item LLM changes is behind the states."""
    model = make_model(item_adapter="linear")
    save_model(model, tmp_path / "one", tokenizer)
    embed_items(tmp_path / "one", TEXTS, tmp_path / "one.safetensors", progress=False)
    with torch.no_grad():
        model.item_adapter.weight.mul_(2)
    save_model(model, tmp_path / "two", tokenizer)
    encoded.clear()
    found = embed_items(tmp_path / "two", TEXTS, tmp_path / "two.safetensors", progress=False)
    assert encoded == []
    whole = encode_catalog(model, tokenizer, [text for _, text in TEXTS], progress=False)
    torch.testing.assert_close(found.vectors.float(), whole, atol=1e-2, rtol=1e-3)


def test_bfloat16_only_where_float16_is_stored(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(hllm.item_states, "cpu_has_fast_bfloat16", lambda: True)
    real, used = hllm.embed.item_batches, []

    def watched(*args, bf16=False, **options):
        used.append(bf16)
        return real(*args, bf16=bf16, **options)

    monkeypatch.setattr(hllm.embed, "item_batches", watched)
    exact = embed_items(model_folder, TEXTS, tmp_path / "exact", half=False, progress=False)
    assert used == [False]
    half = embed_items(model_folder, TEXTS, tmp_path / "half", progress=False)
    assert used == [False, True, False, True]  # a sample in both, then all: none of the exact ones
    cosine = torch.cosine_similarity(half.vectors.float(), exact.vectors)
    assert 0.999 < cosine.min() < 1


def test_a_catalogue_is_embedded_elsewhere_from_token_ids(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(hllm.embed, "TEXTS_AT_ONCE", 16)
    model, _ = load_model(model_folder)
    asked = []

    def encode(path, token_ids):
        asked.append((path, len(token_ids)))
        return encode_tokens(model, token_ids).numpy()

    [key] = model.config.text_keys[:1]
    items = [(item_id, {key: text}) for item_id, text in TEXTS]
    texts = [(item_id, model.config.item_text(fields)) for item_id, fields in items]
    for _ in range(2):  # the second time all is known
        found = embed_elsewhere(model_folder, items, tmp_path / "e.safetensors", encode)
    assert [path for path, _ in asked] == [model_folder] * len(asked)
    assert sum(count for _, count in asked) == len(TEXTS) and asked[0][1] == 16
    expected = embed_items(model_folder, texts, tmp_path / "own.safetensors", progress=False)
    assert found.item_ids == expected.item_ids and found.fingerprint == expected.fingerprint
    torch.testing.assert_close(found.vectors, expected.vectors, atol=1e-3, rtol=1e-3)
