"""The text baseline's embeddings: what is read, and by whom."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from hllm import sentence
from hllm.baselines.text_recommender import load_text_baseline
from hllm.commands.sentence import main
from hllm.errors import StaleEmbeddingsError
from hllm.sentence import embed_sentences, sentence_text
from hllm.weights.packaged import MINILM, pretrained_folder

ROOT = Path(__file__).parents[2]


def test_sentence_text_is_the_contents_only():
    fields = {"title": "Emma", "description": "A novel", "tag": "", "year": "1815"}
    assert sentence_text(fields, ["title", "tag", "description"]) == "Emma. A novel"
    assert sentence_text(None, ["title"]) == ""


def test_only_changed_sentences_are_encoded(tmp_path, monkeypatch):
    encoded = []

    def encode(texts):
        encoded.extend(texts)
        yield list(range(len(texts))), torch.tensor([[len(text), 1.0] for text in texts])

    monkeypatch.setattr(sentence, "open_encoder", lambda: encode)
    path = tmp_path / "baseline.safetensors"
    first = [("a", {"title": "x"}), ("b", {"title": "yy", "year": "1815"})]
    embed_sentences(first, ["title"], path)
    titles = [("b", "yy"), ("a", "changed"), ("c", "yy")]
    fields = [(item_id, {"title": title}) for item_id, title in titles]
    result = embed_sentences(fields, ["title"], path)
    assert encoded == ["x", "yy", "yy", "changed"]
    assert result.vectors[:, 0].tolist() == [2, 7, 2]
    assert load_text_baseline(path, fields=fields).num_items == 3
    with pytest.raises(StaleEmbeddingsError, match=r"2 items .* run  python -m hllm\.sentence"):
        load_text_baseline(path, fields=[(i, {"title": t + "!"}) for i, t in titles[:2]])


def test_minilm_as_packaged():
    texts = ["a book about dragons", "a dragon novel", "tax law of Norway", "a dragon novel"]
    vectors = sentence.sentence_embeddings(texts, progress=False)
    assert vectors.shape == (4, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    cosines = vectors @ vectors.T
    assert cosines[0, 1] > 0.5 > cosines[0, 2]
    assert (vectors[1] == vectors[3]).all()


def test_batches_by_tokens_give_what_sentence_transformers_gives():
    random.seed(0)
    words = "time novel of the dragon a river war and heart night".split()
    texts = [" ".join(random.choices(words, k=k)) for k in (1, 400, 30, 250, 2, 90, 260, 5)] + [""]
    plain = SentenceTransformer(str(pretrained_folder(MINILM)), device="cpu", local_files_only=True)
    expected = plain.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    found = sentence.sentence_embeddings(texts, progress=False)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_finished_run_is_repeated_without_importing_a_model(tmp_path):
    code = (
        "import sys; import hllm.sentence; "
        "sys.exit(bool({'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


# Every batch is a part, and the process dies as no handler can catch it, before the fifth.
DIES = """
import os, signal, sys
from hllm import sentence, state_cache
from hllm.baselines import sentence_encoder
from hllm.commands.sentence import main
state_cache.SECONDS_PER_PART = 0
whole, sentence_encoder.TEXTS_AT_ONCE = sentence._encode, 8
def dying(device, texts):
    for number, batch in enumerate(whole(device, texts)):
        if number == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch
sentence._encode = dying
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_killed_run_continues_and_every_command_reads_what_it_made(tmp_path, monkeypatch):
    path, output = tmp_path / "items.csv", tmp_path / "b.safetensors"
    texts = [f"book {'about ' * (n % 7)}number {n}" for n in range(60)]
    path.write_text("item_id,title\n" + "".join(f"i{n},{text}\n" for n, text in enumerate(texts)))
    command = ["--items", str(path), "--output", str(output)]
    killed = subprocess.run([sys.executable, "-c", DIES, *command], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL and not output.exists()

    encoded, encode = [], sentence._encode

    def counted(device, texts):
        encoded.extend(texts)
        return encode(device, texts)

    monkeypatch.setattr(sentence, "_encode", counted)
    assert main(command) == 0
    assert 0 < len(encoded) <= len(texts) - 3 * 8
    encoded.clear()
    vectors = sentence.sentence_embeddings(texts, progress=False)  # as hllm.evaluate does
    assert encoded == []
    monkeypatch.setenv("HLLM_CACHE", "")
    np.testing.assert_allclose(
        vectors, sentence.sentence_embeddings(texts, progress=False), atol=1e-5
    )
    assert len(encoded) == len(texts)
