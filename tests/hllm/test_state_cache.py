"""The cache of states: what is kept is found by anybody; nothing that goes wrong is an error."""

import os

import pytest
import torch

import hllm.state_cache
from hllm.state_cache import StateCache, cache_folder, cached
from hllm.text import text_hash

TEXTS = ["a", "bb", "ccc", "dddd", "eeeee"]
KEY = "0" * 32


class Lengths:
    """Encodes a text as (its length, 1), two texts a batch; keeps what it was asked for."""

    def __init__(self, dies_after=None):
        self.texts, self.dies_after = [], dies_after

    def __call__(self, texts):
        for start in range(0, len(texts), 2):
            batch = texts[start : start + 2]
            if self.dies_after is not None and len(self.texts) >= self.dies_after:
                raise KeyboardInterrupt
            self.texts += batch
            states = torch.tensor([[len(text), 1.0] for text in batch])
            yield list(range(start, start + len(batch))), states


def encode(texts, folder, key=KEY, dies_after=None):
    """States by text, and the texts that were encoded for them."""
    encoder, found = Lengths(dies_after), {}
    for places, states in cached(encoder, StateCache(key, 2, folder))(texts):
        found |= {texts[place]: state.tolist() for place, state in zip(places, states, strict=True)}
    return found, encoder.texts


def expected(texts):
    return {text: [len(text), 1] for text in texts}


def parts(folder):
    return sorted(folder.glob("*.safetensors"))


def test_a_second_run_encodes_nothing_and_a_third_what_is_new(tmp_path):
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS)
    assert encode(TEXTS[::-1], tmp_path) == (expected(TEXTS), [])
    more = [*TEXTS[1:3], "ffffff"]
    assert encode(more, tmp_path) == (expected(more), ["ffffff"])


def test_another_model_finds_nothing(tmp_path):
    encode(TEXTS, tmp_path)
    assert encode(TEXTS, tmp_path, key="1" * 32) == (expected(TEXTS), TEXTS)


def test_a_run_that_is_stopped_keeps_what_it_has(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        encode(TEXTS, tmp_path, dies_after=4)
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS[4:])


@pytest.mark.parametrize(("seconds", "kept"), [(0, 2), (1000, 0)])
def test_what_a_kill_loses_is_bounded_by_time(tmp_path, monkeypatch, seconds, kept):
    """A kill runs nothing: what counts is what lies there while the run goes on."""
    monkeypatch.setattr(hllm.state_cache, "SECONDS_PER_PART", seconds)
    running = cached(Lengths(), StateCache(KEY, 2, tmp_path))(TEXTS)
    next(running)
    next(running)
    assert len(parts(tmp_path)) == kept
    running.close()


def test_two_runs_at_once_disturb_nothing(tmp_path):
    first = cached(Lengths(), StateCache(KEY, 2, tmp_path))(TEXTS)
    second = cached(Lengths(), StateCache(KEY, 2, tmp_path))(TEXTS[1:])
    for running in (first, second, first, second, first, second):
        next(running, None)
    first.close()
    second.close()
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), [])


def test_a_damaged_part_is_encoded_again_and_said(tmp_path, caplog):
    encode(TEXTS, tmp_path)
    (part,) = parts(tmp_path)
    damaged = bytearray(part.read_bytes())
    place = damaged.index(torch.tensor([3.0]).numpy().tobytes())
    damaged[place] ^= 1
    part.write_bytes(damaged)
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS)
    assert "have changed since they were written" in caplog.text
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), [])


@pytest.mark.parametrize("content", [b"", b"damaged", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_part_that_is_none_is_encoded_again(tmp_path, content):
    (tmp_path / f"{KEY}-1.safetensors").write_bytes(content)
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS)
    assert len(parts(tmp_path)) == 1


def test_states_of_another_width_are_not_used(tmp_path):
    StateCache(KEY, 3, tmp_path).add([text_hash(text) for text in TEXTS], torch.ones(5, 3))
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS)


def test_states_that_are_not_finite_are_not_kept(tmp_path):
    cache = StateCache(KEY, 2, tmp_path)
    cache.add([text_hash("a")], torch.tensor([[1.0, float("nan")]]))
    assert parts(tmp_path) == []


def test_what_was_used_longest_ago_goes_first(tmp_path, monkeypatch):
    for number, text in enumerate(("old", "used", "older")):
        encode([text], tmp_path)
        for part in parts(tmp_path):
            os.utime(part, ns=(number, number)) if part.stat().st_mtime_ns > 10 else None
    encode(["used"], tmp_path)  # now used last
    size = parts(tmp_path)[0].stat().st_size
    monkeypatch.setattr(hllm.state_cache, "MAX_BYTES", 2 * size)
    encode(["new"], tmp_path)
    assert len(parts(tmp_path)) == 2
    monkeypatch.setattr(hllm.state_cache, "MAX_BYTES", 100 * size)
    assert encode(["used", "new"], tmp_path)[1] == []
    assert encode(["old", "older"], tmp_path)[1] == ["old", "older"]


def test_a_folder_that_cannot_be_written_is_one_line_in_the_log(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert encode(TEXTS, tmp_path / "file" / "cache") == (expected(TEXTS), TEXTS)
    assert len(caplog.messages) == 1
    assert "item states are not kept in" in caplog.text


def test_the_last_space_on_a_disk_is_left_to_the_run(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(hllm.state_cache, "MIN_FREE_BYTES", 1 << 60)
    assert encode(TEXTS, tmp_path) == (expected(TEXTS), TEXTS)
    assert parts(tmp_path) == []
    assert "GB are free" in caplog.text


def test_no_folder_keeps_nothing():
    assert encode(TEXTS, None) == (expected(TEXTS), TEXTS)


def test_the_folder_is_the_variables_or_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HLLM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "item-states"
    monkeypatch.setenv("HLLM_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("HLLM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "hllm-live" / "item-states"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert cache_folder() == tmp_path / ".cache" / "hllm-live" / "item-states"
