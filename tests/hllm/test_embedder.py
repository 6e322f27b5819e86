"""The incremental embedder, with an encoder whose vectors can be checked by eye."""

import pytest
import torch
from safetensors.torch import save_file

import hllm.embedder
from hllm.embedder import embed_incrementally, embed_to_file, encode_all
from hllm.errors import CheckpointError, DataError
from hllm.store import ItemEmbeddings, sentence_fingerprint
from hllm.text import text_hash

MODEL = "f" * 16


class Lengths:
    """Encodes a text as (its length, 1), two texts a batch; keeps what it was asked for."""

    def __init__(self, dies_after=None):
        self.texts, self.opened, self.dies_after = [], 0, dies_after

    def open(self):
        self.opened += 1
        return self

    def __call__(self, texts):
        for start in range(0, len(texts), 2):
            batch = texts[start : start + 2]
            if self.dies_after is not None and len(self.texts) >= self.dies_after:
                raise KeyboardInterrupt
            self.texts += batch
            places = list(range(start, start + len(batch)))
            yield places, torch.tensor([[len(text), 1.0] for text in batch])


def items(*texts):
    return [(f"i{row}", text) for row, text in enumerate(texts)]


def stored(pairs, value, fingerprint=MODEL):
    vectors = torch.full((len(pairs), 2), float(value))
    ids, hashes = [item_id for item_id, _ in pairs], [text_hash(text) for _, text in pairs]
    return ItemEmbeddings(ids, hashes, vectors, fingerprint)


def embed(pairs, known, encoder):
    return embed_incrementally(
        pairs, known, MODEL, encoder.open, dtype=torch.float32, progress=False
    )


def test_equal_texts_are_encoded_once_and_shortest_first():
    encoder = Lengths()
    vectors = encode_all(encoder, ["ccc", "a", "ccc", "bb", ""], progress=False)
    assert encoder.texts == ["", "a", "bb", "ccc"]
    assert vectors[:, 0].tolist() == [3, 1, 3, 2, 0]


def test_known_items_are_looked_up_by_id_and_text_and_the_first_source_counts():
    encoder = Lengths()
    pairs = items("one", "three", "eleven", "one")
    known = [stored(pairs[:1], -1), stored([*pairs[:2], ("i2", "another text")], -2)]
    found = embed(pairs, known, encoder)
    assert found.vectors[:, 0].tolist() == [-1, -2, 6, 3]  # equal texts of two items are two rows
    assert encoder.texts == ["one", "eleven"]
    assert found.item_ids == ["i0", "i1", "i2", "i3"]


def test_another_models_vectors_are_not_used():
    found = embed(items("one"), [stored(items("one"), -1, "another model")], Lengths())
    assert found.vectors[:, 0].tolist() == [3]


def test_the_encoder_is_opened_only_if_something_is_missing():
    encoder = Lengths()
    embed(items("one"), [stored(items("one"), -1)], encoder)
    assert encoder.opened == 0
    assert len(embed([], [], encoder).item_ids) == 0
    assert encoder.opened == 0


@pytest.mark.parametrize("seconds", [0, 1000])
def test_what_a_killed_run_keeps_is_bounded_by_time(tmp_path, monkeypatch, seconds):
    monkeypatch.setattr(hllm.embedder, "SECONDS_PER_PART", seconds)
    output = tmp_path / "e.safetensors"
    pairs = items(*("x" * n for n in range(7)))
    with pytest.raises(KeyboardInterrupt):
        embed_to_file(pairs, output, MODEL, Lengths(dies_after=4).open, progress=False)
    encoder = Lengths()
    found = embed_to_file(pairs, output, MODEL, encoder.open, progress=False)
    assert len(encoder.texts) == (3 if seconds == 0 else 7)
    assert found.vectors[:, 0].tolist() == list(range(7))
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_parts_of_another_model_are_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(hllm.embedder, "SECONDS_PER_PART", 0)
    output, pairs = tmp_path / "e.safetensors", items("a", "bb", "ccc")
    with pytest.raises(KeyboardInterrupt):
        embed_to_file(pairs, output, "old model", Lengths(dies_after=2).open, progress=False)
    encoder = Lengths()
    embed_to_file(pairs, output, MODEL, encoder.open, progress=False)
    assert encoder.texts == ["a", "bb", "ccc"]


def file_of(tmp_path, pairs, fingerprint=MODEL, **options):
    output = tmp_path / "e.safetensors"
    embed_to_file(pairs, output, fingerprint, Lengths().open, progress=False, **options)
    return output


def test_repeating_a_finished_run_says_so_without_the_encoder(tmp_path, caplog):
    caplog.set_level("INFO")
    pairs = items("one", "three")
    output = file_of(tmp_path, pairs)
    before = output.stat().st_mtime_ns
    encoder = Lengths()
    embed_to_file(pairs, output, MODEL, encoder.open, progress=False)
    assert encoder.opened == 0
    assert output.stat().st_mtime_ns == before
    assert "is up to date: nothing to do" in caplog.text


def test_another_model_replaces_what_is_there_and_says_so(tmp_path, caplog):
    pairs = items("one", "three")
    output = file_of(tmp_path, pairs, "old model")
    encoder = Lengths()
    embed_to_file(pairs, output, MODEL, encoder.open, progress=False)
    assert encoder.texts == ["one", "three"]
    assert ItemEmbeddings.load(output).fingerprint == MODEL
    assert "made by another model" in caplog.text


def test_other_items_and_another_order_are_written(tmp_path):
    output = file_of(tmp_path, items("one", "three"))
    encoder = Lengths()
    embed_to_file([("i1", "three")], output, MODEL, encoder.open, progress=False)
    assert ItemEmbeddings.load(output).item_ids == ["i1"]
    assert encoder.opened == 0


def test_rounded_vectors_do_not_answer_for_a_run_with_float32(tmp_path):
    pairs = items("one", "three")
    output = file_of(tmp_path, pairs)
    encoder = Lengths()
    found = embed_to_file(pairs, output, MODEL, encoder.open, dtype=torch.float32, progress=False)
    assert encoder.texts == ["one", "three"]
    assert found.vectors.dtype == torch.float32
    again = Lengths()
    embed_to_file(pairs, output, MODEL, again.open, progress=False)  # float16 of float32 is exact
    assert again.opened == 0
    assert ItemEmbeddings.load(output).vectors.dtype == torch.float16


@pytest.mark.parametrize("name", ["model.safetensors", "items.csv", "folder"])
def test_a_file_of_another_kind_is_not_replaced(tmp_path, name):
    output = tmp_path / name
    if name == "folder":
        output.mkdir()
    elif name == "items.csv":
        output.write_text("item_id,title\n")
    else:
        save_file({"w": torch.zeros(2)}, output)
    encoder = Lengths()
    with pytest.raises(DataError, match="holds no item embeddings: give another output"):
        embed_to_file(items("one"), output, MODEL, encoder.open, progress=False)
    assert encoder.opened == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_baseline_and_an_hllm_do_not_replace_each_other(tmp_path):
    for first, second, kind in (
        (MODEL, sentence_fingerprint(["title"]), "an HLLM's"),
        (sentence_fingerprint(["title"]), MODEL, "the text baseline's"),
    ):
        folder = tmp_path / first[:4]
        folder.mkdir()
        output = file_of(folder, items("one"), first)
        with pytest.raises(DataError, match=f"holds {kind} item embeddings"):
            embed_to_file(items("one"), output, second, Lengths().open, progress=False)
        assert ItemEmbeddings.load(output).fingerprint == first


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "Item 'i1' got an embedding with NaN or infinity"),
        (float("inf"), "Item 'i1' got an embedding with NaN or infinity"),
        (1e6, "Item 'i1' does not fit into float16: .*--fp32"),
    ],
)
def test_an_embedding_that_is_not_finite_stops_the_run_and_names_the_item(tmp_path, value, message):
    def encode(texts):
        yield (
            list(range(len(texts))),
            torch.tensor([[value if text == "bad" else 1.0] for text in texts]),
        )

    output = tmp_path / "e.safetensors"
    with pytest.raises(CheckpointError, match=message):
        embed_to_file(items("good", "bad"), output, MODEL, lambda: encode, progress=False)
    assert not output.exists()
    if value != 1e6:
        with pytest.raises(CheckpointError, match="The text 'bad' got an embedding with NaN"):
            encode_all(encode, ["good", "bad"], progress=False)
