"""The header of a GGUF: what it says, and files that are damaged or claim too much."""

import struct

import gguf
import pytest

from hllm.errors import CheckpointError
from hllm.schema.gguf_header import gguf_in, read_gguf
from tests.hllm.gguf_files import SIZES, WORDS, write_gguf


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def test_it_says_what_llama_cpp_reads(whole):
    header, oracle = read_gguf(whole), gguf.GGUFReader(whole)
    for name, field in oracle.fields.items():
        if not name.startswith("GGUF."):
            assert header.metadata[name] == field.contents()
    assert header.metadata["tokenizer.ggml.tokens"] == WORDS
    assert len(header.tensors) == len(oracle.tensors)
    for tensor in oracle.tensors:
        place = header.tensors[tensor.name]
        assert place.shape == tuple(tensor.shape.tolist()[::-1])
        assert (place.start, place.num_bytes) == (tensor.data_offset, tensor.n_bytes)
        assert place.kind.name == tensor.tensor_type.name


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        read_gguf(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 500
    return message


def test_a_file_that_is_cut_off_anywhere_is_refused(whole, tmp_path):
    data = whole.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in [*range(0, 400, 7), *range(400, len(data), 1999), len(data) - 1]:
        path.write_bytes(data[:length])
        assert "cut off" in refused(path)


def spoilt(whole, path, place, code, value):
    data = bytearray(whole.read_bytes())
    struct.pack_into(f"<{code}", data, place, value)
    path.write_bytes(data)
    return path


def position(whole, text):
    """Where the first value behind a key stands: its type."""
    return whole.read_bytes().index(text.encode()) + len(text)


def test_what_it_is_not_is_said(whole, tmp_path):
    path = tmp_path / "odd.gguf"
    assert "no GGUF" in refused(spoilt(whole, path, 0, "I", 7))
    assert "version is 99" in refused(spoilt(whole, path, 4, "I", 99))
    for place in (8, 16):  # numbers of tensors and of keys
        for count in (2**63, 10**6):
            assert "more than it holds" in refused(spoilt(whole, path, place, "Q", count))
    assert "unknown type 77" in refused(
        spoilt(whole, path, position(whole, "llama.block_count"), "I", 77)
    )


def test_absurd_sizes_take_no_memory(whole, tmp_path):
    path = tmp_path / "odd.gguf"
    tokens = position(whole, "tokenizer.ggml.tokens") + 8  # behind the types of list and entries
    kinds = position(whole, "tokenizer.ggml.token_type") + 8
    shape = position(whole, "blk.0.attn_q.weight") + 4  # behind the number of dimensions
    for place in (tokens, kinds, tokens + 8, shape, shape + 16 + 4):
        for number in (2**40, 2**63):
            assert "more than it holds" in refused(spoilt(whole, path, place, "Q", number))
    assert "dimensions" in refused(spoilt(whole, path, shape - 4, "I", 10**9))
    for number in (0, 63):  # no block of 32 numbers
        assert "impossible shape" in refused(spoilt(whole, path, shape, "Q", number))


def test_unknown_quantization_is_named_with_what_is_read(whole, tmp_path):
    kind = position(whole, "blk.0.attn_q.weight") + 4 + 16
    message = refused(spoilt(whole, tmp_path / "odd.gguf", kind, "I", 12))
    assert "'blk.0.attn_q.weight' is of the type 12; F32, F16, Q4_1, Q8_0 are read" in message
    path = write_gguf(tmp_path / "q5.gguf", kind="Q5_0")
    assert "is of the type 6" in refused(path)


def test_texts_that_are_no_texts_and_keys_that_come_twice(whole, tmp_path):
    data = whole.read_bytes()
    path = tmp_path / "odd.gguf"
    path.write_bytes(data.replace(b"smollm", b"smo\xff\xffm"))
    assert "decode" in refused(path)
    path.write_bytes(data.replace(b"llama.vocab_size", b"llama.block_coun"))
    assert read_gguf(path)  # another key of the same length is no damage
    path.write_bytes(data.replace(b"blk.1.attn_q", b"blk.0.attn_q"))
    assert "'blk.0.attn_q.weight' is there twice" in refused(path)


def test_a_changed_file_is_read_again(tmp_path):
    path = write_gguf(tmp_path / "tiny.gguf")
    assert read_gguf(path).metadata["llama.block_count"] == SIZES["num_hidden_layers"]
    write_gguf(path, metadata={"llama.block_count": 7})
    assert read_gguf(path).metadata["llama.block_count"] == 7


def test_which_file_of_a_folder_is_meant(whole, tmp_path):
    assert gguf_in(whole.parent) == whole
    assert gguf_in(tmp_path) is None
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.gguf").touch()
    with pytest.raises(CheckpointError, match="holds 2 GGUF files"):
        gguf_in(tmp_path)
    (tmp_path / "config.json").write_text("{}")  # a folder as transformers writes it
    assert gguf_in(tmp_path) is None
